"""Facts of an exported network, which its files say of themselves."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from tailorbird.spaces import IntArray, SearchSpace
from tailorbird.spaces.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True)
class About:
    """What is known of one network.

    Attributes:
        space: that it is of.
        row: its canonical row there, (d,).
        preprocessing: how pictures become its inputs; None if nobody says.
        figures: what it was checked to be, as texts by title; none if it was not checked.
        provenance: where its weights and figures are from, as texts by title.
        takes_pixels: true if its ONNX file takes bytes of pictures, and prepares them itself.
        library_facts: processor that its library of TVM is for.
        library_ms: latency of that library, as a text, and how far it is from that of the report.
        class_names: of the classes that its logits are for, in their order; none if nobody says.
    """

    space: SearchSpace
    row: IntArray
    preprocessing: Preprocessing | None = None
    figures: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    takes_pixels: bool = False
    library_facts: str = ""
    library_ms: str = ""
    class_names: tuple[str, ...] = ()

    @property
    def architecture(self) -> str:
        """Text of the network."""
        return self.space.describe(self.row)

    @property
    def metadata(self) -> dict[str, str]:
        """Texts for files that have room for such, by their names there."""
        facts = {
            "space": self.space.name,
            "encoding": json.dumps(self.row.tolist()),
            "architecture": self.architecture,
            "input_shape": json.dumps(self.space.input_shape),
        }
        if self.preprocessing is not None:
            facts["preprocessing"] = self.preprocessing.to_json()
        if self.class_names:
            facts["class_names"] = json.dumps(self.class_names, ensure_ascii=False)
        for name, texts in (("figures", self.figures), ("provenance", self.provenance)):
            if texts:
                facts[name] = json.dumps(dict(texts), ensure_ascii=False)
        return {name: text.encode(errors="replace").decode() for name, text in facts.items()}
