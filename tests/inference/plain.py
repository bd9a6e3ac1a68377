"""Decoding with exits in plain NumPy: double precision, no cache, one token after another.

Every token is computed anew from the hidden states of those before it, kept as a list for each
block. Llama only, written from the papers and not from the code that is tested.
"""

import numpy as np

from ee_jax.models.transformer import parameters


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def rms_norm(x, scale, eps):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * scale


def turn(x_NH, position, theta):
    """Halves of H paired; pair i turns by position / theta^(2i/H)."""
    size = x_NH.shape[-1]
    z = x_NH[:, : size // 2] + 1j * x_NH[:, size // 2 :]
    z = z * np.exp(1j * position * theta ** (-2 * np.arange(size // 2) / size))
    return np.concatenate([z.real, z.imag], -1)


class PlainLlama:
    def __init__(self, model):
        self.config = model.backbone.config
        self.layers = model.design.layers
        self.w = {name: np.asarray(v, float) for name, v in parameters(model).items()}

    def part(self, index, name):
        return self.w[f"backbone.blocks.{index}.{name}"]

    def normed(self, x, index, name):
        return rms_norm(x, self.part(index, f"{name}.scale"), self.config.norm_eps)

    def key_value(self, index, hidden_D, position):
        x = self.normed(hidden_D, index, "attention_norm")
        key, value = (
            (x @ self.part(index, f"attention.{name}.kernel")).reshape(self.config.kv_heads, -1)
            for name in ("key", "value")
        )
        return turn(key, position, self.config.rope.theta), value

    def block(self, index, hidden_D, position, past):
        """`past` holds the keys and values of the positions up to this one."""
        config = self.config
        x = self.normed(hidden_D, index, "attention_norm")
        query = (x @ self.part(index, "attention.query.kernel")).reshape(config.heads, -1)
        query = turn(query, position, config.rope.theta)
        mixed = []
        for head in range(config.heads):
            of = head // (config.heads // config.kv_heads)
            keys, values = (np.stack([pair[i][of] for pair in past]) for i in (0, 1))
            mixed.append(softmax(keys @ query[head] / np.sqrt(config.head_size)) @ values)
        hidden_D = hidden_D + np.concatenate(mixed) @ self.part(index, "attention.out.kernel")
        x = self.normed(hidden_D, index, "mlp_norm")
        gate = x @ self.part(index, "mlp.gate.kernel")
        inner = gate / (1 + np.exp(-gate)) * (x @ self.part(index, "mlp.up.kernel"))
        return hidden_D + inner @ self.part(index, "mlp.down.kernel")

    def logits(self, hidden_D):
        x = rms_norm(hidden_D, self.w["backbone.final_norm.scale"], self.config.norm_eps)
        return x @ self.w["output.kernel"]

    def decode(self, prompt, tokens, threshold, policy, stops=()):
        """New ids, the exits they came from, and the largest probabilities there."""
        pairs = [[] for _ in range(self.config.blocks)]  # keys and values, a list a block
        for position, token in enumerate(prompt[:-1]):
            self.run(token, position, pairs, 2.0, "propagate")
        out, token = [], prompt[-1]
        for position in range(len(prompt) - 1, len(prompt) - 1 + tokens):
            exit, logits_V = self.run(token, position, pairs, threshold, policy)
            token = int(logits_V.argmax())
            out.append((token, exit, softmax(logits_V).max()))
            if token in stops:
                break
        return tuple(np.array(column) for column in zip(*out, strict=True))

    def run(self, token, position, pairs, threshold, policy):
        """One token: its keys and values join those of every block."""
        hidden_D = self.w["backbone.embedding.tokens.embedding"][token]
        answer = None
        for index in range(self.config.blocks):
            if answer is None or policy == "recompute":
                pair = self.key_value(index, hidden_D, position)
                pairs[index].append(pair)
                hidden_D = self.block(index, hidden_D, position, pairs[index])
            else:
                if policy == "propagate":
                    pair = self.key_value(index, hidden_D, position)
                pairs[index].append(pair)
            depth = index + 1
            if answer is None and depth in self.layers:
                logits_V = self.logits(hidden_D)
                if softmax(logits_V).max() > threshold or depth == self.config.blocks:
                    answer = self.layers.index(depth), logits_V
        assert answer is not None
        return answer
