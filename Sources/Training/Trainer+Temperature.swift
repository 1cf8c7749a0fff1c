// A trained head made as sure as it is right: its scores divided by the temperature that fits.

import GraftNetworks
import GraftTensors

extension Trainer {
    /// Fits the temperature on the validation photos and divides the head's weights by it, so that
    /// whatever runs or exports the model answers calibrated shares; nil where none fits, which is said.
    func calibrate(
        _ loop: inout TrainingLoop, _ parts: Parts, _ validation: Samples
    ) throws -> Temperature? {
        let before = try loop.evaluate(validation)
        let found =
            input.task == .multiLabel
            ? Temperature.fit(before.logits, targets: validation.targets)
            : Temperature.fit(before.logits, labels: validation.labels)
        guard let found, let logits = parts.model.logits else {
            report(
                .uncalibrated(
                    "no temperature is best: on \(validation.items.count) validation photos the scores are "
                        + "all right, or no guide at all; give it more of them"))
            return nil
        }
        let head = Set(parts.model.nodes[logits].parameters.map(\.name))
        loop.bestWeights = zip(loop.kept, loop.bestWeights).map { parameter, values in
            head.contains(parameter.name) ? values.map { Float(Double($0) / found) } : values
        }
        try loop.load(loop.bestWeights)
        let after = try loop.evaluate(validation)
        return Temperature(
            value: found, calibrationErrorBefore: error(before, validation),
            calibrationErrorAfter: error(after, validation), lossBefore: before.loss,
            lossAfter: after.loss)
    }

    private func error(_ score: TrainingLoop.Score, _ validation: Samples) -> Double? {
        input.task == .multiLabel
            ? LabelMetrics(
                probabilities: score.probabilities, targets: validation.targets,
                names: input.classes
            ).calibrationError
            : ScoreMetrics.calibrationError(score.probabilities, validation.labels)
    }
}
