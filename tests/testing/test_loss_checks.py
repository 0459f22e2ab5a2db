"""What the conformance suite asks of losses."""

from __future__ import annotations

import numpy as np
import pytest

from microframe import Activation, Example, Loss
from microframe.plugins import Provider
from microframe.registry import registry
from microframe.standard.activations import LogSoftmax
from microframe.standard.losses import CrossEntropy
from microframe.testing import check_component, parametrize_with_checks
from microframe.testing.loss_bench import activations_for, loss_cases


@parametrize_with_checks(*registry.plugins.load_standard("loss"))
def test_a_standard_loss_conforms(check):
    check()


class Absolute(Loss):
    """The mean of |p - t|."""

    def sample_values(self, prediction, target):
        return per_sample(np.abs(prediction - target))

    def gradient(self, prediction, target, out):
        np.sign(prediction - target, out)
        out /= out.size


def per_sample(values):
    return values.reshape(len(values), -1).mean(axis=1)


def failed(subject):
    return {result.check: result.reason for result in check_component(subject) if result.outcome == "failed"}


def test_a_right_loss_fails_nothing():
    assert failed(Absolute) == {}


def test_a_failure_names_the_predictions_and_targets():
    class Doubled(Absolute):
        def gradient(self, prediction, target, out):
            np.sign(prediction - target, out)

    reason = failed(Doubled)["gradient"]
    assert reason.startswith("Doubled(): direction 0: the gradient gives")
    assert reason.endswith("(predictions of shape (4,) that are values, targets that are rows of probabilities)")


def test_values_are_told_where_they_differ():
    class Total(Absolute):
        def value(self, prediction, target, weight=None):
            return 2.0

    class Unweighted(Absolute):
        def value(self, prediction, target, weight=None):
            return float(self.sample_values(prediction, target).mean())

    assert ", the mean of sample_values, received 2 (" in failed(Total)["reduction"]
    assert set(failed(Unweighted)) == {"sample_weights"}
    assert (
        ", with weights 1, 2, 3, 4, 5 the mean of weights times sample_values" in failed(Unweighted)["sample_weights"]
    )


def test_a_value_that_is_not_a_python_number_fails():
    class Zero(Absolute):
        def value(self, prediction, target, weight=None):
            values = self.sample_values(prediction, target)
            return (values if weight is None else values * weight).mean()

    assert "expected a Python float as the value, received float32" in failed(Zero)["dtype_kept"]


def test_samples_that_depend_on_each_other_are_told_of():
    class Relative(Absolute):
        def sample_values(self, prediction, target):
            values = super().sample_values(prediction, target)
            return values - values.mean()

    assert "the value of a sample to be the same in every batch" in failed(Relative)["reduction"]


def test_scratch_arrays_hold_anything():
    class Assumes(Absolute):
        def value_and_gradient(self, prediction, target, out, empty=np.empty):
            total = empty(prediction.shape)
            total += np.abs(prediction - target)
            self.gradient(prediction, target, out)
            return float(total.mean())

    assert "from value_and_gradient as from `value`, received nan" in failed(Assumes)["value_and_gradient"]


def test_the_arguments_of_the_call_before_are_forgotten():
    kept = []

    class Remembers(Absolute):
        def sample_values(self, prediction, target):
            kept[:] = [np.sign(prediction - target)]
            return super().sample_values(prediction, target)

        def gradient(self, prediction, target, out):
            if not kept or kept[0].shape != out.shape:
                kept[:] = [np.sign(prediction - target)]
            np.divide(kept[0], out.size, out)

    assert "the same gradient after the values of other samples" in failed(Remembers)["interleaved"]


def test_targets_of_a_wrong_shape_are_refused_with_a_value_error():
    class TakesAnything(Absolute):
        def prepare(self, target, output_shape, dtype):
            return np.asarray(target, dtype)

    class RaisesAnother(Absolute):
        def prepare(self, target, output_shape, dtype):
            if target.shape[1:] != output_shape:
                raise TypeError("no")
            return np.asarray(target, dtype)

    expected = (
        "expected prepare to refuse targets of shape (1,) for each sample, where predictions have shape (4,), with a"
    )
    assert f"{expected} ValueError, but it took them" in failed(TakesAnything)["prepare"]
    assert f"{expected} ValueError, received TypeError: no" in failed(RaisesAnother)["prepare"]


def test_targets_in_the_dtype_of_the_data_are_left_alone():
    class InPlace(Absolute):
        def prepare(self, target, output_shape, dtype):
            values = super().prepare(target, output_shape, dtype)
            values -= 0.5
            return values

    assert failed(InPlace)["prepare"].startswith("InPlace(): expected targets as it was, but it was modified")


class LogLikelihood(Loss):
    """Minus the logarithm of the probability of the right class, of logarithms of probabilities."""

    target = "classes"

    def prepare(self, target, output_shape, dtype):
        return CrossEntropy().prepare(target, output_shape, dtype)

    def sample_values(self, prediction, target):
        return per_sample(-(prediction * target).sum(axis=-1))

    def gradient(self, prediction, target, out):
        np.multiply(target, -out.shape[-1] / out.size, out)

    def fuse(self, activation):
        return CrossEntropy().fuse(activation) if type(activation) is LogSoftmax else None


def test_a_loss_of_logarithms_may_fuse_with_log_softmax():
    assert failed(LogLikelihood) == {}


def test_a_loss_that_is_fused_with_what_it_is_not_made_for_fails():
    class FusesAll(LogLikelihood):
        def fuse(self, activation):
            return CrossEntropy().fuse(LogSoftmax())

    expected = "expected the loss fused with 'linear' to have the values of the loss after it"
    assert expected in failed(FusesAll)["fused_gradient"]


def test_a_fused_loss_that_overflows_fails():
    class Naive(LogLikelihood):
        def sample_values(self, prediction, target):
            logarithms = prediction - np.log(np.exp(prediction).sum(axis=-1, keepdims=True))
            return super().sample_values(logarithms, target)

        def gradient(self, prediction, target, out):
            odds = np.exp(prediction)
            np.subtract(odds / odds.sum(axis=-1, keepdims=True), target, out)
            out *= out.shape[-1] / out.size

        def fuse(self, activation):
            return None

    class Fuses(LogLikelihood):
        def fuse(self, activation):
            return Naive() if type(activation) is LogSoftmax else None

    assert (
        "expected finite sample_values for logits of +-10000 and 0, fused with 'log_softmax'"
        in (failed(Fuses)["fused_gradient"])
    )


class OwnSigmoid(Activation):
    """1 / (1 + exp(-x))."""

    def forward(self, x, out):
        np.copyto(out, 0.5 + 0.5 * np.tanh(x / 2))

    def backward(self, dy, x, y, out):
        np.multiply(dy, y * (1 - y), out=out)


class Likelihood(Loss):
    """-(t log p + (1 - t) log(1 - p)), which has a form for logits where p is of the sigmoid above."""

    needs_probabilities = True
    scale: float = 1.0

    def sample_values(self, prediction, target):
        cut = np.clip(prediction, 1e-7, 1 - 1e-6)
        return per_sample(-(target * np.log(cut) + (1 - target) * np.log1p(-cut)))

    def gradient(self, prediction, target, out):
        cut = np.clip(prediction, 1e-7, 1 - 1e-6)
        np.divide((cut - target) * (cut == prediction), cut * (1 - cut) * out.size, out)

    def fuse(self, activation):
        return OfLogits(self.scale) if isinstance(activation, OwnSigmoid) else None


class OfLogits(Loss):
    """log(1 + exp(z)) - t z."""

    scale: float = 1.0
    limit: float = 1e9

    def sample_values(self, prediction, target):
        return per_sample(np.logaddexp(0, prediction) - target * prediction)

    def gradient(self, prediction, target, out):
        slope = np.where(np.abs(prediction) < self.limit, 0.5 + 0.5 * np.tanh(prediction / 2), 0)
        np.multiply(slope - target, self.scale / out.size, out)


def test_the_form_for_an_activation_of_its_own_module_is_checked():
    (right,) = (result for result in check_component(Likelihood) if result.check == "fused_gradient")
    assert right.outcome == "passed"
    assert (
        "fused with 'own_sigmoid' to have the gradient that the chain rule"
        in failed(Likelihood(-1.0))["fused_gradient"]
    )


def test_the_form_for_an_activation_of_its_own_plugin_is_checked(monkeypatch):
    elsewhere = type("Elsewhere", (OwnSigmoid,), {"__module__": "elsewhere"})
    with registry.registered_locally(Likelihood):
        assert elsewhere() not in activations_for(Likelihood())
    monkeypatch.setattr(registry, "provider", lambda component: Provider("sigmoids", "sigmoids"))
    monkeypatch.setattr(registry.plugins, "components", {"sigmoids": [Likelihood, elsewhere]}.__getitem__)
    assert elsewhere() in activations_for(Likelihood())


def test_an_activation_that_nobody_can_name_is_none_to_fuse_with():
    class _Hidden(OwnSigmoid):
        """One to derive from."""

        def forward(self, x, out):
            raise NotImplementedError

    assert _Hidden in OwnSigmoid.__subclasses__()
    assert failed(Likelihood) == {}


class WideHuber(Loss):
    """|e| < delta: e^2 / 2, beyond that delta (|e| - delta / 2), with e = p - t."""

    delta: float = 20.0
    is_cut: bool = True

    def sample_values(self, prediction, target):
        error = np.abs(prediction - target)
        return per_sample(np.where(error < self.delta, error**2 / 2, self.delta * (error - self.delta / 2)))

    def gradient(self, prediction, target, out):
        delta = self.delta if self.is_cut else np.inf
        np.clip(prediction - target, -delta, delta, out=out)
        out /= out.size


def test_gradients_are_compared_far_away_from_0_too():
    assert failed(WideHuber()) == {}
    assert "for predictions up to 50 from 0: direction" in failed(WideHuber(is_cut=False))["gradient"]


def test_gradients_of_fused_losses_are_compared_far_away_from_0_too():
    class Limited(Likelihood):
        def fuse(self, activation):
            return OfLogits(limit=20) if isinstance(activation, OwnSigmoid) else None

    assert "for predictions up to 50 from 0: direction" in failed(Limited)["fused_gradient"]


def test_a_loss_may_be_huge_far_away_from_0():
    class Exponential(Absolute):
        """exp((p - t)^2)."""

        def sample_values(self, prediction, target):
            return per_sample(np.exp((prediction - target) ** 2))

        def gradient(self, prediction, target, out):
            error = prediction - target
            np.divide(2 * error * np.exp(error**2), out.size, out)

    assert "gradient" not in failed(Exponential)


class Gamma(Loss):
    """t / p + log p, for p and t above 0."""

    def sample_values(self, prediction, target):
        return per_sample(target / prediction + np.log(prediction))

    def gradient(self, prediction, target, out):
        np.divide(1 - target / prediction, prediction * out.size, out)


class Spread(Loss):
    """The likelihood of one value by two outputs, a mean and the logarithm of a variance."""

    def prepare(self, target, output_shape, dtype):
        values = np.asarray(target, dtype)
        if output_shape != (2,) or values.shape[1:] not in ((), (1,)):
            raise ValueError("one target for each sample, and two outputs")
        return values.reshape(-1, 1)

    def sample_values(self, prediction, target):
        mean, logarithm = prediction[:, 0], prediction[:, 1]
        return (logarithm + (mean - target[:, 0]) ** 2 * np.exp(-logarithm)) / 2

    def gradient(self, prediction, target, out):
        distance, precision = prediction[:, 0] - target[:, 0], np.exp(-prediction[:, 1])
        out[:, 0] = distance * precision
        out[:, 1] = (1 - distance**2 * precision) / 2
        out /= len(out)


@pytest.mark.parametrize("loss", [Gamma, Spread])
def test_predictions_and_targets_are_found_that_suit_the_loss(loss):
    assert failed(loss) == {}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_predictions_are_of_the_kind_and_the_shape_that_the_loss_is_finite_for():
    assert {case.range for case in loss_cases(Example(Gamma()))} == {"positive values"}
    assert {(case.outputs, case.targets) for case in loss_cases(Example(Spread()))} == {((2,), "one value a sample")}
    assert {case.range for case in loss_cases(Example(CrossEntropy()))} == {"probabilities"}


class Boxes(Absolute):
    """The mean of |p - t| over six outputs, and no other number."""

    def prepare(self, target, output_shape, dtype):
        if output_shape != (6,) or target.shape[1:] != (6,) or not (target > 5).all():
            raise ValueError("six targets above 5 for each sample, and six outputs")
        return np.asarray(target, dtype)


def test_a_loss_that_nothing_suits_asks_for_an_example():
    reason = failed(Boxes)["gradient"]
    assert "expected 'boxes' to be finite for some of the predictions and targets that were tried" in reason
    assert (
        "(ValueError: six targets above 5 for each sample, and six outputs); give some that suit in examples()"
        in reason
    )


def test_an_example_may_give_predictions_and_targets():
    samples = np.linspace(0, 9, 18).reshape(3, 6)
    assert failed(Example(Boxes(), inputs=(samples, samples[::-1] + 6))) == {}


def test_an_example_may_give_the_shape_of_a_prediction():
    class OfFive(Absolute):
        def prepare(self, target, output_shape, dtype):
            if output_shape != (5, 5):
                raise ValueError("five rows of five outputs")
            return super().prepare(target, output_shape, dtype)

    assert "five rows of five outputs" in failed(OfFive)["gradient"]
    assert failed(Example(OfFive(), inputs=((5, 5),))) == {}


@pytest.mark.parametrize(("factor", "checks"), [(1.0, set()), (1.01, {"reference"})])
def test_the_value_is_compared_with_a_reference(factor, checks):
    example = Example(Absolute(), reference=lambda p, t: factor * np.abs(p - t).mean())
    assert set(failed(example)) == checks
