// A run that cannot go on: why, and what its folder says about it.

import GraftNetworks
import GraftTensors

extension Trainer {
    /// The same error, or the one behind it: a loss is no number either where a photo's features are
    /// none.
    func explained(_ error: TrainingError, _ parts: Parts, _ training: Samples) throws
        -> TrainingError
    {
        guard case .diverged = error, let photo = try training.firstBroken() else { return error }
        return .brokenFeatures(
            of: training.items[photo].path, after: parts.model.nodes[parts.cut].name)
    }

    /// Leaves a run folder that says what happened, with the best epoch until then, if there is one.
    /// Whatever goes wrong here is less than what has gone wrong already.
    func record(
        _ error: TrainingError, _ loop: TrainingLoop?, _ parts: Parts, _ weights: StateDict,
        _ training: Samples, _ validation: Samples
    ) {
        let history = loop?.history ?? []
        do {
            var score: TrainingLoop.Score?
            var kept = weights
            if let loop, !history.isEmpty {
                try loop.load(loop.bestWeights)
                score = try loop.evaluate(validation)
                for (parameter, values) in zip(loop.kept, loop.bestWeights) {
                    kept[parameter.name] = LazyTensor(Tensor(values, shape: parameter.shape))
                }
            }
            let best = loop.flatMap { history.isEmpty ? nil : history[$0.best].epoch } ?? 0
            let metrics = try conclude(
                history, best: best, score, validation, training, failure: error.failure)
            guard crew.rank == 0 else { return }
            try describe(
                parts, kept, metrics, training, validation, score ?? noScore, history)
        } catch {
            report(.unrecorded("\(error)"))
        }
    }
}
