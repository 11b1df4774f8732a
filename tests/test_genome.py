"""Genes and genomes: canonical form, key, JSON, parameters, and what is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    examples,
    genomes,
    initializer_of,
    network_of,
    raises_at_most,
    raw_genomes,
)

from evonet.errors import GenomeError
from evonet.genome import Genome, Layer
from evonet.genome.genes import (
    ACTIVATIONS,
    INITIALIZERS,
    KINDS,
    LAYER_GENES,
    NETWORK_BLOCKS,
    NETWORK_GENES,
    OPTIMIZERS,
    layer_initializer,
)

RECORD: dict[str, Any] = {
    "layers": [{"units": 8, "activation": "relu", "dropout": 0.5}],
    "initializer": "matched_normal",
    "optimizer": "momentum",
    "momentum": 0.9,
    "learning_rate": 0.001,
    "batch_size": 32,
}
#: No gene is neutral.
EVERY: dict[str, Any] = {
    **RECORD,
    "layers": [{**RECORD["layers"][0], "normalisation": "batch", "skip": "concat"}],
    "schedule": "one_cycle",
    "warmup": 0.05,
    "weight_decay": 1e-4,
    "clip_norm": 1.0,
    "label_smoothing": 0.1,
    "input_noise": 0.2,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=9), values),
    max_leaves=9,
)


def changed(**genes: Any) -> dict[str, Any]:
    """The record with some genes replaced; left out where the value is ``...``."""
    return {name: v for name, v in {**RECORD, **genes}.items() if v is not ...}


def changed_layer(**genes: Any) -> dict[str, Any]:
    layer = {name: v for name, v in {**RECORD["layers"][0], **genes}.items() if v is not ...}
    return changed(layers=[layer])


class TestGenes:
    def test_registry_and_genome_have_the_same_genes(self) -> None:
        assert ("layers", *NETWORK_GENES) == tuple(
            name for name in KINDS if KINDS[name].level == "network"
        )
        assert {f.name for f in dataclasses.fields(Genome)} == {"layers", *NETWORK_GENES}
        assert {f.name for f in dataclasses.fields(Layer)} == set(LAYER_GENES)

    def test_the_readme_names_every_gene_and_every_value_of_a_choice(self) -> None:
        text = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
        named = set(re.findall(r"`(\w+)`", text))
        names = {name for kind in KINDS.values() for name in kind.names}
        assert named >= {*KINDS, *names} - set(INITIALIZERS)  # these are spelled in two halves

    def test_every_network_gene_is_inherited_with_exactly_one_block(self) -> None:
        inherited = [name for block in NETWORK_BLOCKS for name in block]
        assert sorted(inherited) == sorted(NETWORK_GENES)

    def test_what_decides_how_good_a_learning_rate_is_is_inherited_with_it(self) -> None:
        (block,) = [block for block in NETWORK_BLOCKS if "learning_rate" in block]
        assert {"optimizer", "momentum", "learning_rate", "batch_size"} <= set(block)
        assert {"schedule", "warmup", "weight_decay", "clip_norm", "label_smoothing"} <= set(block)
        assert "input_noise" not in block

    @pytest.mark.parametrize("initializer", INITIALIZERS)
    @pytest.mark.parametrize("activation", [*ACTIVATIONS, "softmax", "linear"])
    def test_layer_initializer_follows_the_table(self, initializer: str, activation: str) -> None:
        family, distribution = initializer_of(initializer, activation)
        assert layer_initializer(initializer, activation) == f"{family}_{distribution}"

    @pytest.mark.parametrize(
        ("gene", "value"),
        [
            ("units", 0),
            ("units", 65_537),
            ("units", 8.0),
            ("units", True),
            ("units", "8"),
            ("units", None),
            ("layers", -1),
            ("layers", 65),
            ("dropout", 1.0),
            ("dropout", -0.1),
            ("dropout", False),
            ("momentum", 1),
            ("learning_rate", 0.0),
            ("learning_rate", 100.1),
            ("learning_rate", float("nan")),
            ("learning_rate", float("inf")),
            ("learning_rate", 10**400),
            ("batch_size", 0),
            ("activation", "linear"),
            ("activation", "ReLU"),
            ("activation", 3),
            ("optimizer", ""),
            ("initializer", ["he_normal"]),
            ("normalisation", "Batch"),
            ("skip", "residual"),
            ("schedule", ""),
            ("warmup", 1.0),
            ("weight_decay", 1.1),
            ("weight_decay", -1e-4),
            ("clip_norm", 1000.1),
            ("clip_norm", -1.0),
            ("label_smoothing", 1.0),
            ("input_noise", 10.1),
            ("input_noise", -0.1),
        ],
    )
    def test_a_value_that_is_not_legal_is_not_converted(self, gene: str, value: object) -> None:
        assert KINDS[gene].convert(value) is None

    @pytest.mark.parametrize(
        ("gene", "value", "converted"),
        [
            ("units", 1, 1),
            ("units", 65_536, 65_536),
            ("layers", 0, 0),
            ("layers", 64, 64),
            ("dropout", 0, 0.0),
            ("dropout", np.nextafter(1.0, 0.0), np.nextafter(1.0, 0.0)),
            ("learning_rate", 1, 1.0),
            ("learning_rate", 1e-8, 1e-8),
            ("learning_rate", 100, 100.0),
            ("activation", "relu", "relu"),
            ("warmup", np.nextafter(1.0, 0.0), np.nextafter(1.0, 0.0)),
            ("weight_decay", 1, 1.0),
            ("clip_norm", 1000, 1000.0),
            ("label_smoothing", 0, 0.0),
            ("input_noise", 10, 10.0),
        ],
    )
    def test_a_legal_value_takes_the_type_of_its_gene(
        self, gene: str, value: object, converted: object
    ) -> None:
        found = KINDS[gene].convert(value)
        assert found == converted
        assert type(found) is (KINDS[gene].numbers or str)

    @pytest.mark.parametrize(
        ("gene", "text", "value"),
        [
            ("units", "64", 64),
            ("learning_rate", "1e-3", 0.001),
            ("optimizer", "adam", "adam"),
            ("units", "64.0", None),
            ("units", "", None),
            ("units", "9" * 5000, None),
            ("learning_rate", "nan", None),
            ("learning_rate", "inf", None),
            ("learning_rate", "fast", None),
            ("optimizer", "Adam", None),
        ],
    )
    def test_text_is_parsed_as_the_value_it_spells(
        self, gene: str, text: str, value: object
    ) -> None:
        assert KINDS[gene].parse(text) == value


class TestCanonicalForm:
    @given(raw_genomes(), raw_genomes(), st.sets(st.sampled_from(["layers", *NETWORK_GENES])))
    @examples(300)
    def test_keys_are_equal_exactly_if_the_networks_are(
        self, record: dict[str, Any], donor: dict[str, Any], taken: set[str]
    ) -> None:
        other = {**record, **{name: donor.get(name) for name in taken}}
        other = {name: value for name, value in other.items() if value is not None}
        a, b = Genome.from_dict(record), Genome.from_dict(other)
        same = network_of(record) == network_of(other)
        assert (a == b) == same
        assert (a.key == b.key) == same
        assert len({a, b}) == (1 if same else 2)

    @given(raw_genomes(), st.sampled_from(INITIALIZERS))
    @examples(300)
    def test_an_initializer_by_another_name_is_the_same_genome(
        self, record: dict[str, Any], initializer: str
    ) -> None:
        other = {**record, "initializer": initializer}
        same = network_of(record) == network_of(other)
        assert (Genome.from_dict(record).key == Genome.from_dict(other).key) == same

    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    def test_momentum_is_part_of_a_genome_only_with_an_optimizer_that_has_one(
        self, optimizer: str
    ) -> None:
        keys = {
            Genome.from_dict(changed(optimizer=optimizer, momentum=momentum)).key
            for momentum in (0.5, 0.9)
        }
        assert len(keys) == (2 if optimizer in ("momentum", "nesterov") else 1)

    def test_glorot_of_tanh_layers_is_the_matched_initializer(self) -> None:
        tanh = [{"units": 8, "activation": "tanh"}]
        explicit = Genome.from_dict(changed(layers=tanh, initializer="glorot_uniform"))
        matched = Genome.from_dict(changed(layers=tanh, initializer="matched_uniform"))
        assert explicit == matched
        assert explicit.initializer == "matched_uniform"

    def test_he_of_relu_layers_is_not_the_matched_initializer(self) -> None:
        # The matched one gives the output layer Glorot's, the explicit one He's.
        explicit = Genome.from_dict(changed(initializer="he_normal"))
        assert explicit != Genome.from_dict(changed(initializer="matched_normal"))
        assert explicit.initializer == "he_normal"

    def test_a_gene_at_its_neutral_value_does_not_change_the_key(self) -> None:
        records = [changed_layer(dropout=dropout) for dropout in (0, 0.0, -0.0, None, ...)]
        assert len({Genome.from_dict(record).key for record in records}) == 1

    @pytest.mark.parametrize("name", [n for n in NETWORK_GENES if KINDS[n].neutral is not None])
    def test_a_network_gene_at_its_neutral_value_is_not_written(self, name: str) -> None:
        for value in (KINDS[name].neutral, None):
            genome = Genome.from_dict(changed(**{name: value}))
            assert genome.key == Genome.from_dict(RECORD).key
            assert name not in genome.to_dict()

    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    def test_weight_decay_is_part_of_a_genome_with_every_optimizer_but_adam(
        self, optimizer: str
    ) -> None:
        keys = {
            Genome.from_dict(changed(optimizer=optimizer, weight_decay=decay)).key
            for decay in (0.0, 1e-4, 0.01)
        }
        assert len(keys) == (1 if optimizer == "adam" else 3)

    def test_a_gene_at_its_neutral_value_is_not_written(self) -> None:
        # So that a gene which is added to evonet later leaves the keys of old genomes alone.
        record = changed_layer(dropout=0.0)
        assert Genome.from_dict(record).to_dict()["layers"] == [{"units": 8, "activation": "relu"}]

    def test_minus_zero_is_zero(self) -> None:
        minus, plus = (Genome.from_dict(changed_layer(dropout=zero)) for zero in (-0.0, 0.0))
        assert minus.key == plus.key

    def test_momentum_zero_is_refused_because_it_is_sgd_under_another_name(self) -> None:
        with pytest.raises(GenomeError, match=r"'momentum' is 0; expected a number from 0\.01"):
            Genome.from_dict(changed(momentum=0))

    def test_keys_are_those_of_old_records(self) -> None:
        # Written down once. A gene added later must be neutral here, or old scores are lost.
        linear = Genome((), "glorot_normal", "adamw", 0.01, 64)
        assert linear.to_json() == (
            '{"batch_size":64,"initializer":"matched_normal","layers":[],"learning_rate":0.01,'
            '"optimizer":"adamw"}'
        )
        assert linear.key == "a64fcf13ddf0714a"
        assert Genome.from_dict(RECORD).to_json() == (
            '{"batch_size":32,"initializer":"matched_normal","layers":[{"activation":"relu",'
            '"dropout":0.5,"units":8}],"learning_rate":0.001,"momentum":0.9,"optimizer":"momentum"}'
        )
        assert Genome.from_dict(RECORD).key == "05abd24b54338568"

    def test_a_key_with_every_gene_is_the_one_of_its_json(self) -> None:
        genome = Genome.from_dict(EVERY)
        assert genome.to_json() == (
            '{"batch_size":32,"clip_norm":1.0,"initializer":"matched_normal","input_noise":0.2,'
            '"label_smoothing":0.1,"layers":[{"activation":"relu","dropout":0.5,'
            '"normalisation":"batch","skip":"concat","units":8}],"learning_rate":0.001,'
            '"momentum":0.9,"optimizer":"momentum","schedule":"one_cycle","warmup":0.05,'
            '"weight_decay":0.0001}'
        )
        assert genome.key == hashlib.sha256(genome.to_json().encode()).hexdigest()[:16]

    def test_a_genome_in_words_names_what_is_not_neutral_and_nothing_else(self) -> None:
        assert str(Genome.from_dict(RECORD)) == (
            "8 relu dropout 0.5 | momentum 0.001 momentum 0.9 batch 32 matched_normal"
        )
        assert str(Genome.from_dict(EVERY)) == (
            "8 relu batch-norm dropout 0.5 concat | momentum 0.001 momentum 0.9 one_cycle batch 32 "
            "warmup 0.05 decay 0.0001 clip 1 smoothing 0.1 noise 0.2 matched_normal"
        )

    @given(genomes())
    @examples(200)
    def test_genome_to_json_to_genome_is_the_identity_and_keeps_the_key(
        self, genome: Genome
    ) -> None:
        back = Genome.from_dict(json.loads(genome.to_json()))
        assert back == genome
        assert back.key == genome.key
        assert back.to_dict() == genome.to_dict()

    @given(genomes())
    @examples(50)
    def test_a_key_is_sixteen_hexadecimal_digits(self, genome: Genome) -> None:
        assert len(genome.key) == 16
        assert int(genome.key, 16) >= 0

    @given(genomes())
    @examples(50)
    def test_a_genome_in_words_is_one_line_with_every_layer(self, genome: Genome) -> None:
        words = str(genome)
        assert "\n" not in words
        assert words.count("→") == max(len(genome.layers) - 1, 0)
        assert ("linear model" in words) == (not genome.layers)

    def test_a_genome_cannot_be_changed(self) -> None:
        genome = Genome.from_dict(RECORD)
        with pytest.raises(dataclasses.FrozenInstanceError, match="batch_size"):
            genome.batch_size = 1  # type: ignore[misc]
        with pytest.raises(dataclasses.FrozenInstanceError, match="units"):
            genome.layers[0].units = 1  # type: ignore[misc]


class TestParameterCount:
    @given(genomes(max_units=50), st.integers(1, 50), st.integers(1, 9))
    @examples(100)
    def test_parameter_count_is_that_of_the_weight_arrays(
        self, genome: Genome, n_inputs: int, n_outputs: int
    ) -> None:
        rows, arrays, fan_ins = np.zeros((1, n_inputs)), [], []

        def dense(x: np.ndarray, units: int) -> np.ndarray:
            kernel, bias = np.zeros((x.shape[1], units)), np.zeros(units)
            arrays.extend([kernel, bias])
            fan_ins.append(x.shape[1])
            return x @ kernel + bias

        for layer in genome.layers:
            outputs = dense(rows, layer.units)
            if layer.normalisation != "none":
                scale, offset = np.ones(layer.units), np.zeros(layer.units)
                outputs = outputs * scale + offset
                arrays += [scale, offset]
            rows = np.hstack([outputs, rows]) if layer.skip == "concat" else outputs
        assert dense(rows, n_outputs).shape == (1, n_outputs)
        assert genome.fan_ins(n_inputs) == tuple(fan_ins)
        assert genome.parameter_count(n_inputs, n_outputs) == sum(a.size for a in arrays)


class TestRefusals:
    @pytest.mark.parametrize(
        ("record", "message"),
        [
            (None, "found None; expected an object of genes"),
            ([], r"found \[\]; expected an object of genes"),
            (changed(layers=...), "'layers' is None; expected a list of layers"),
            (changed(layers=3), "'layers' is 3; expected a list of layers"),
            (changed(layers={}), r"'layers' is {}; expected a list of layers"),
            (changed(layers=[3]), "layer 0: found 3; expected an object of genes"),
            (changed(layers=RECORD["layers"] * 65), "'layers' is 65; expected a whole number from"),
            (changed(wings=2), "unknown gene 'wings'; expected one of layers, initializer"),
            (changed(**{"a\nb": 2}), r"unknown gene 'a\\nb'"),
            (changed(optimizer=...), "'optimizer' is missing; expected one of sgd, momentum"),
            (changed(optimizer=None), "'optimizer' is missing; expected one of sgd, momentum"),
            (changed(optimizer="magic"), "'optimizer' is 'magic'; expected one of sgd, momentum"),
            (changed(optimizer=["sgd"]), r"'optimizer' is \['sgd'\]; expected one of sgd"),
            (changed(momentum=...), "'momentum' is missing; expected a number from 0.01 up"),
            (changed(momentum=1.0), "'momentum' is 1.0; expected a number from 0.01 up to but"),
            (changed(batch_size=True), "'batch_size' is True; expected a whole number from 1"),
            (changed(batch_size=32.0), "'batch_size' is 32.0; expected a whole number from 1"),
            (changed(learning_rate="1e-3"), "'learning_rate' is '1e-3'; expected a number from"),
            (changed(learning_rate=float("nan")), "'learning_rate' is nan; expected a number"),
            (changed(learning_rate=float("inf")), "'learning_rate' is inf; expected a number"),
            (changed(learning_rate=10**5000), "'learning_rate' is too large int; expected a nu"),
            (changed_layer(units=...), "layer 0: gene 'units' is missing; expected a whole number"),
            (changed_layer(units=0), "layer 0: gene 'units' is 0; expected a whole number from 1"),
            (changed_layer(activation="x"), "layer 0: gene 'activation' is 'x'; expected one of"),
            (changed_layer(dropout=1), "layer 0: gene 'dropout' is 1; expected a number from 0"),
            (changed_layer(colour=1), "layer 0: unknown gene 'colour'; expected one of units"),
        ],
    )
    def test_a_bad_record_is_refused_with_place_value_and_what_was_expected(
        self, record: object, message: str
    ) -> None:
        with pytest.raises(GenomeError, match=rf"^genome 3 of x: .*{message}") as refusal:
            Genome.from_dict(record, "genome 3 of x")
        assert "\n" not in str(refusal.value)

    def test_a_long_value_is_cut_in_the_message(self) -> None:
        with pytest.raises(GenomeError, match="expected one of sgd") as refusal:
            Genome.from_dict(changed(optimizer="x" * 10_000))
        assert len(str(refusal.value)) < 300

    def test_a_bad_gene_given_in_python_is_refused_too(self) -> None:
        with pytest.raises(GenomeError, match="'units' is 0; expected a whole number from 1"):
            Layer(0, "relu")
        with pytest.raises(GenomeError, match="'momentum' is missing"):
            Genome((), "he_normal", "nesterov", 0.1, 8)

    @given(st.sampled_from(sorted(EVERY)), JSON)
    @examples(300)
    def test_any_json_for_a_gene_gives_a_genome_or_a_genome_error(
        self, gene: str, value: object
    ) -> None:
        record = changed(**{gene: value})
        with raises_at_most(GenomeError):
            genome = Genome.from_dict(record)
            assert Genome.from_dict(genome.to_dict()) == genome
