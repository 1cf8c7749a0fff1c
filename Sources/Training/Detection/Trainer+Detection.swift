// What is of boxes alone in a run.

import GraftImages
import GraftNetworks
import GraftTensors

extension Trainer {
    /// The detector that the run's network ends in.
    func detector(_ parts: Parts) throws -> Detector {
        let shape = input.preprocessing.shape
        guard
            let detector = try Detector(parts.model, input: shape, classes: input.classes.count)
        else {
            throw TrainingError.option(
                "network", expected: "one with maps that a detector can read",
                found: input.graph.name)
        }
        return detector
    }

    /// The photos that show something of each class.
    func boxCounts(_ training: Samples) -> [Int] {
        var counts = [Int](repeating: 0, count: input.classes.count)
        for targets in training.targets {
            for label in Set(PhotoBoxes(targets).entries.map(\.label)) { counts[label] += 1 }
        }
        return counts
    }
}
