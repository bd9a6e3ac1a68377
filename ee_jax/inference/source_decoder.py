"""Decoding of what a decoder says of other texts: translations, summaries, answers.

An encoder reads the texts once; every block of the decoder looks at what it made of them, in
every method of decoding alike.
"""

from collections.abc import Sequence

from jax.sharding import Mesh

from ee_jax.compilation import Planned, Program, replicated
from ee_jax.errors import UserError
from ee_jax.inference.generator import Decoder
from ee_jax.inference.sampling import GREEDY, Sampling
from ee_jax.models.language import LanguageModel
from ee_jax.models.layers import Memory
from ee_jax.models.transformer import Parameters, bind, looking_at
from ee_jax.tokens import Tokens


class SourceDecoder(Decoder):
    """A `Decoder` of a model with an encoder; it has read the texts of a batch at a time."""

    def __init__(
        self, model: LanguageModel, sampling: Sampling = GREEDY, stops: Sequence[int] = ()
    ):
        super().__init__(model, sampling, stops)
        self._encode = Program(self._remember)

    def read_source(self, source: Tokens) -> None:
        """Reads texts, one for each row of the batch that is decoded next.

        Raises:
          UserError: they are longer than what the encoder has positions for.
        """
        encoder, time = self.model.backbone.config.encoder, source.ids_BT.shape[1]
        if encoder and encoder.positions != "none" and time > encoder.max_length:
            raise UserError(
                f"a text of {time} tokens, padding included, is longer than the "
                f"{encoder.max_length} that the encoder has positions for: shorten it"
            )
        self.values = (self.parameters, self._encode(self.parameters, source))

    def plan_source(self, source: Tokens, mesh: Mesh) -> Planned:
        """What `read_source` compiles for texts of this shape; `plan` is of such texts then."""
        given = replicated((self.parameters, source), mesh)
        self.values = (self.parameters, self._encode.shape(*given))
        batch, length = source.ids_BT.shape
        return Planned(f"encoder {batch} x {length}", self._encode, given, batch=batch)

    def bound(self, values: tuple[Parameters, list[Memory]]) -> LanguageModel:
        """The model, whose decoder looks at what has been read."""
        own, memory = values
        return looking_at(bind(self.model, own), lambda model: model.backbone, memory)

    def _remember(self, values: Parameters, source: Tokens) -> list[Memory]:
        return bind(self.model, values).backbone.remember(source)
