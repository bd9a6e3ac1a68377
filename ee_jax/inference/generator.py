"""Decoding for a caller: prompts in, tokens out."""

from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from ee_jax.compilation import Planned, Program, replicated
from ee_jax.errors import UserError
from ee_jax.inference.decode_loop import Ends, Request
from ee_jax.inference.memory import check_memory
from ee_jax.inference.methods import DecodingMethod
from ee_jax.inference.prompts import Ids, Prompts, pack_prompts
from ee_jax.inference.sampling import GREEDY, Sampling
from ee_jax.inference.segment import extend, prefill
from ee_jax.models.kv_cache import Cache, in_decode_layout, make_cache
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.transformer import bind, parameters


class Decoder:
    """One model, and its programs as they are needed; `stops` are ids that end a row.

    It computes and keeps its cache in what the model's parameters are kept in, see
    `ee_jax.models.precision`.
    """

    def __init__(
        self, model: LanguageModel, sampling: Sampling = GREEDY, stops: Sequence[int] = ()
    ):
        model = in_decode_layout(model)
        self.parameters = parameters(model)
        self.values: Any = self.parameters  # that every program is given
        self.model = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), model)
        self.sampling = sampling
        self.stops = tuple(stops)
        self._costs: dict[Any, Any] = {}
        self._prefill, self._extend = cache(self._compile_prefill), cache(self._compile_extend)
        self._begin, self._go_on = cache(self._compile_begin), cache(self._compile_go_on)

    def bound(self, values: Any) -> LanguageModel:
        """The model with such `values`."""
        return bind(self.model, values)

    def run(
        self, method: DecodingMethod, shared: Any, prompts: Sequence[Ids], tokens: int
    ) -> Any:
        """All at once: `Generated` or `SpeculatedText`, on the host."""
        *_, last = self.stream(method, shared, prompts, tokens, every=tokens)
        return last

    def stream(
        self,
        method: DecodingMethod,
        shared: Any,
        prompts: Sequence[Ids],
        tokens: int,
        every: int = 1,
        seed: int = 0,
    ) -> Iterator[Any]:
        """What there is after every few tokens, the last time at the end.

        Raises:
          UserError: the prompts, or their number, cannot be decoded.
        """
        packed = pack_prompts(prompts, self.model.backbone.config, tokens)
        self.check_memory(method, packed, tokens)
        request = self.request(packed, tokens, seed)
        if method.measured and shared is None:
            shared = self.pass_costs(method, request, tokens)
        shared = jax.tree.map(jnp.asarray, shared)
        at = self.start(method, request, tokens)
        for until in range(every, tokens + every, every):
            at = self.go_on(method, shared, at, request, until)
            yield jax.device_get(at.out)
            if at.ended_B.all():
                return

    @staticmethod
    def _slots(method: DecodingMethod, request: Request, tokens: int) -> int:
        return request.ids_BP.shape[1] + tokens + method.spare

    def request(self, packed: Prompts, tokens: int, seed: int = 0) -> Request:
        """The prompts on the device; every row may have `tokens` tokens."""
        batch = packed.length_B.size
        stop_S = jnp.asarray(self.stops, jnp.int32)
        ends = Ends(stop_S, jnp.full(batch, tokens, jnp.int32))
        ids_BP, length_B = map(jnp.asarray, packed)
        return Request(ids_BP, length_B, ends, jax.random.key(seed))

    def start(self, method: DecodingMethod, request: Request, tokens: int) -> Any:
        """Reads the prompts, and says where the method goes on from."""
        slots = self._slots(method, request, tokens)
        cached = self._prefill(slots)(self.values, request.ids_BP)
        return self.begin(method, cached, request, tokens)

    def read(self, cached: Cache, ids_BT: Any, first_B: Any) -> Cache:
        """The cache, which it takes over, with the next tokens of each row: see `extend`."""
        return self._extend()(self.values, cached, jnp.asarray(ids_BT), jnp.asarray(first_B))

    def begin(
        self, method: DecodingMethod, cached: Cache, request: Request, tokens: int
    ) -> Any:
        """Where the method goes on from, given a cache of the prompts, which it takes over."""
        return self._begin(method, tokens)(cached, request)

    def go_on(
        self, method: DecodingMethod, shared: Any, at: Any, request: Request, until: int
    ) -> Any:
        """Decodes until there are `until` tokens a row; takes over the arrays of `at`."""
        return self._go_on(method)(self.values, shared, at, request.ends, jnp.int32(until))

    def pass_costs(
        self, method: DecodingMethod, request: Request, tokens: int, slots: int | None = None
    ) -> Any:
        """`PassCosts` of the method's drafters, measured once for each shape of the request.

        Args:
          method: whose drafters.
          request: of the batch to be decoded.
          tokens: that a row may have.
          slots: of the cache; None: as `start` makes it.
        """
        from ee_jax.inference.pass_costs import measure_costs  # most decoders need none

        batch = request.ids_BP.shape[0]
        slots = slots or self._slots(method, request, tokens)
        if (key := (method, batch, slots)) not in self._costs:
            config, dtype = self.model.backbone.config, self.model.backbone.dtype

            def begin(request: Request) -> Any:
                cache = make_cache(config, batch, slots, dtype)
                return self._begin(method, tokens)(cache, request)

            go_on = partial(self.go_on, method)
            self._costs[key] = measure_costs(method.measured, begin, go_on, request)
        return self._costs[key]

    def plan(
        self, name: str, method: DecodingMethod, shared: Any, packed: Prompts, tokens: int,
        mesh: Mesh,
    ) -> Iterator[Planned]:  # fmt: skip
        """What `run` compiles for prompts of this shape, on a mesh of one device.

        Args:
          name: of the method.
          method: how to decode.
          shared: what it shares, such as a threshold.
          packed: the prompts.
          tokens: how many follow.
          mesh: the device.
        """
        batch, padded = packed.ids_BP.shape
        slots, shape = padded + tokens + method.spare, f"{batch} x {padded}"
        request = self.request(packed, tokens)
        values, request, shared = replicated((self.values, request, shared), mesh)
        read, begin = self._prefill(slots), self._begin(method, tokens)
        prompt = values, request.ids_BP
        cached = replicated(read.shape(*prompt), mesh), request
        at = replicated(begin.shape(*cached), mesh)
        rest = values, shared, at, request.ends, replicated(jnp.int32(0), mesh)
        yield Planned(f"prefill {shape} of {slots}", read, prompt, batch=batch)
        yield Planned(f"{name}: start {shape}", begin, cached, batch=batch)
        go_on = self._go_on(method)
        yield Planned(f"{name} {shape} + {tokens}", go_on, rest, batch=batch)

    def check_memory(self, method: DecodingMethod, packed: Prompts, tokens: int) -> None:
        """Raises: UserError if the batch does not fit."""
        config, (batch, padded) = self.model.backbone.config, packed.ids_BP.shape
        check_memory(config, self.parameters, batch, padded, tokens, method.spare)

    def _compile_prefill(self, slots: int) -> Program:
        def run(values: Any, ids_BP: Any) -> Cache:
            return prefill(self.bound(values), ids_BP, slots)

        return Program(run)

    def _compile_extend(self) -> Program:
        def run(values: Any, cached: Cache, ids_BT: Any, first_B: Any) -> Cache:
            return extend(self.bound(values), cached, ids_BT, first_B)

        return Program(run, donate=(1,))

    def _compile_begin(self, method: DecodingMethod, tokens: int) -> Program:
        def run(cache: Cache, request: Request) -> Any:
            return method.begin(self.model, cache, request, tokens)

        return Program(run, donate=(0,))

    def _compile_go_on(self, method: DecodingMethod) -> Program:
        def run(values: Any, shared: Any, at: Any, ends: Ends, until: Any) -> Any:
            return method.go_on(self.bound(values), shared, at, ends, self.sampling, until)

        return Program(run, donate=(2,))


def exit_at(design: LanguageDesign, depth: int) -> int:
    """The number of the exit after `depth` blocks.

    Raises:
      UserError: the model has none there.
    """
    if depth not in design.layers:
        known = ", ".join(map(str, design.layers))
        raise UserError(f"no exit after {depth} blocks: the model's are after {known}")
    return design.layers.index(depth)


def draft_exit_at(design: LanguageDesign, depth: int) -> int:
    """`exit_at` for drafting, which the last exit cannot do."""
    exit = exit_at(design, depth)
    if exit == len(design.layers) - 1:
        raise UserError(
            f"the exit after all {depth} blocks cannot draft: take an earlier one of "
            f"{', '.join(map(str, design.layers[:-1])) or 'a model with exits'}"
        )
    return exit


def middle_exit(design: LanguageDesign) -> int | None:
    """The exit that may draft where none is named: the last in the first half, else the first.

    None for a model that has the last exit only.
    """
    blocks, early = design.layers[-1], design.layers[:-1]
    if not early:
        return None
    return max(sum(2 * depth <= blocks for depth in early) - 1, 0)
