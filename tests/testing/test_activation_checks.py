"""What the conformance suite asks of activations."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from microframe import Activation, Example
from microframe.registry import registry
from microframe.testing import check_component, parametrize_with_checks


@parametrize_with_checks(*registry.plugins.load_standard("activation"))
def test_a_standard_activation_conforms(check):
    check()


class HardTanh(Activation):
    """max(-1, min(x, 1)), with kinks at -1 and 1."""

    def forward(self, x, out):
        np.clip(x, -1, 1, out=out)

    def backward(self, dy, x, y, out):
        np.multiply(dy, np.abs(y) < 1, out)


def failed(subject):
    return {result.check: result.reason for result in check_component(subject) if result.outcome == "failed"}


def test_a_right_activation_fails_nothing():
    assert failed(HardTanh) == {}


def test_an_exponential_may_overflow_but_not_what_it_is_only_a_part_of():
    class Exponential(Activation):
        def forward(self, x, out):
            np.exp(x, out)

        def backward(self, dy, x, y, out):
            np.multiply(dy, y, out)

    class Overflowing(Exponential):
        def forward(self, x, out):
            np.log1p(np.exp(x), out)

        def backward(self, dy, x, y, out):
            np.multiply(dy, 1 - np.exp(-y), out)

    assert failed(Exponential) == {}
    received = "expected forward in float32 to give finite numbers, received inf for 10000 in (10000, 0, -10000)"
    assert failed(Overflowing) == {"extremes": f"Overflowing(): {received}"}


def test_an_activation_without_a_gradient_at_zero_fails():
    class Root(Activation):
        needs_input = True

        def forward(self, x, out):
            np.sqrt(np.abs(x), out)

        def backward(self, dy, x, y, out):
            np.divide(np.sign(x) * dy, 2 * y, out)

    assert "expected a finite gradient at inputs up to 0, received" in failed(Root)["gradient"]


def test_a_gradient_that_is_another_on_purpose_is_not_compared():
    class Sign(HardTanh):
        needs_input = True

        def forward(self, x, out):
            np.copyto(out, np.where(x < 0, -1, 1))

        def backward(self, dy, x, y, out):
            np.multiply(dy, np.abs(x) < 1, out)

    class StraightThrough(Sign):
        gradient_is_exact = False

    assert set(failed(Sign)) == {"gradient"}
    assert failed(StraightThrough) == {}
    (result,) = [result for result in check_component(StraightThrough) if result.check == "gradient"]
    assert result.reason == "the activation says that its gradient is another one on purpose"


def test_a_branch_far_from_zero_is_checked_as_well():
    class Cut(HardTanh):
        needs_input = True

        def forward(self, x, out):
            np.clip(x, -20, 20, out=out)

        def backward(self, dy, x, y, out):
            np.multiply(dy, x > -20, out)

    assert set(failed(Cut)) == {"gradient"}


def test_elements_that_are_not_written_are_told_of():
    class Half(HardTanh):
        def forward(self, x, out):
            np.clip(x, -1, 1, out=out, where=x > 0)

    assert "expected forward to write a number into every element of out" in failed(Half)["shape_and_dtype"]


def test_rows_that_depend_on_each_other_are_told_of():
    class OverTheBatch(HardTanh):
        def forward(self, x, out):
            np.subtract(x, x.sum(axis=0) / max(len(x), 1), out)

        def backward(self, dy, x, y, out):
            np.subtract(dy, dy.sum(axis=0) / max(len(dy), 1), out)

    failures = failed(OverTheBatch)
    assert set(failures) == {"rows_apart"}
    assert "forward to give each row of a batch what it gives it alone" in failures["rows_apart"]


def test_what_passes_through_a_context_is_checked_as_well():
    class InDouble(HardTanh):
        def apply(self, ctx, x):
            return None, np.clip(x.astype("float64"), -1, 1)

    class Spoils(HardTanh):
        def pull_back(self, ctx, dy, x, y):
            dy *= np.abs(y) < 1
            return dy

    assert failed(InDouble) == {
        "shape_and_dtype": "InDouble(): expected what apply returns in float32, received float64",
    }
    assert failed(Spoils)["arguments_unmodified"] == "Spoils(): expected dy as it was, but it was modified"


def test_scratch_arrays_of_a_context_hold_anything():
    class Assumes(HardTanh):
        def pull_back(self, ctx, dy, x, y):
            out = ctx.empty(dy.shape)
            out += dy * (np.abs(y) < 1)
            return out

    assert "`pull_back` to give what backward does" in failed(Assumes)["in_place"]


def test_an_array_that_threads_share_is_found_even_if_it_is_used_for_one_line_only():
    shared = {}

    class Shared(HardTanh):
        def forward(self, x, out):
            scratch = shared.setdefault(x.shape, np.empty(x.shape))
            np.copyto(out, np.tanh(np.multiply(x, 2, scratch)), casting="same_kind")

        def backward(self, dy, x, y, out):
            np.multiply(dy, 2 * (1 - y * y), out)

    failures = failed(Shared)
    assert set(failures) == {"threads"}
    assert "expected forward in one of several threads to give what it gives alone" in failures["threads"]


def test_threads_may_share_an_array_behind_a_lock_or_have_one_each():
    lock, shared, own = threading.Lock(), {}, threading.local()

    class Locked(HardTanh):
        def forward(self, x, out):
            with lock:
                shared[x.shape] = np.clip(x, -1, 1)
                out[...] = shared[x.shape]

    class Local(HardTanh):
        def forward(self, x, out):
            own.scratch = np.clip(x, -1, 1)
            out[...] = own.scratch

    assert failed(Locked) == failed(Local) == {}


def test_what_forward_leaves_in_the_module_is_no_place_for_the_mask_of_backward():
    masks = {}

    class Masked(HardTanh):
        def forward(self, x, out):
            masks[x.shape] = np.abs(x) < 1
            np.clip(x, -1, 1, out=out)

        def backward(self, dy, x, y, out):
            np.multiply(dy, masks[dy.shape], out)

    assert "expected each of two interleaved passes to give its own gradient" in failed(Masked)["interleaved"]


def test_independent_probabilities_need_not_sum_to_one_but_those_of_two_classes_do():
    class Odds(Activation):
        def forward(self, x, out):
            np.add(0.5 * np.tanh(x / 2), 0.5, out)

        def backward(self, dy, x, y, out):
            np.multiply(dy, y * (1 - y), out)

        def probabilities(self, y):
            return np.concatenate([1 - y, y], axis=-1) if y.shape[-1] == 1 else y

    class OneColumn(Odds):
        def probabilities(self, y):
            return y

    class Beyond(Odds):
        def probabilities(self, y):
            return 2 * y

    assert failed(Odds) == {}
    assert "expected the probabilities of a row to sum to 1" in failed(OneColumn)["probabilities"]
    assert "expected probabilities from 0 to 1, received values from" in failed(Beyond)["probabilities"]


@pytest.mark.parametrize(("factor", "checks"), [(1.0, set()), (1.01, {"reference"})])
def test_the_output_is_compared_with_a_reference(factor, checks):
    example = Example(HardTanh(), reference=lambda x: factor * np.clip(x, -1, 1))
    assert set(failed(example)) == checks
