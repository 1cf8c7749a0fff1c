// A trained head made as sure as it is right: its scores divided by the temperature that fits.

import GraftNetworks
import GraftTensors

extension TaskTrainer {
    /// Fits the temperature on the validation photos and divides the head's weights by it, so that
    /// whatever runs or exports the model answers calibrated shares; nil where none fits, which is said.
    func calibrate(
        _ loop: inout TrainingLoop<Goal>, _ parts: Parts, _ validation: Samples
    ) throws -> Temperature? {
        let before = try loop.evaluate(validation)
        let found = objective.temperature(of: before)
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
            value: found, calibrationErrorBefore: objective.calibrationError(of: before),
            calibrationErrorAfter: objective.calibrationError(of: after), lossBefore: before.loss,
            lossAfter: after.loss)
    }
}
