"""Reads the descriptors of convoy bench: "transposed n1 ic3 oc64 g1 ih224 iw224 kh7 kw7 sh2 sw2 ph3 pw3 dh1 dw1 oph0", or "ic3 oc64 i224 k7 s2 p3"."""
import re


class Layer:
    def __init__(self, text):
        words = {}
        self.transposed = False
        for word in text.split():
            if word == "transposed":
                self.transposed = True
                continue
            name, number = re.fullmatch(r"([a-z]+)(-?\d+)", word).groups()
            words[name] = int(number)
        self.n, self.groups = words.get("n", 1), words.get("g", 1)
        self.ic, self.oc = words.get("ic", 1), words.get("oc", 1)
        axes = "dhw" if any(k in words for k in ("id", "kd")) else "hw" if any(k in words for k in ("i", "ih", "kh")) else "w"
        def values(letter, otherwise):
            return [words.get(letter + axis, words.get(letter, otherwise)) for axis in axes]
        self.rank, self.input, self.kernel = len(axes), values("i", 1), values("k", 1)
        self.stride, self.padding, self.dilation, self.output_padding = values("s", 1), values("p", 0), values("d", 1), values("op", 0)
