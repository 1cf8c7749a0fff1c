// A run that cannot go on: why, and what its folder says about it.

import GraftNetworks
import GraftTensors

extension TaskTrainer {
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
        _ error: TrainingError, _ loop: TrainingLoop<Goal>?, in site: HeadSite<Goal>
    ) {
        let history = loop?.history ?? []
        do {
            var score: Goal.Score?
            var kept = site.weights
            if let loop, !history.isEmpty {
                try loop.load(loop.bestWeights)
                score = try loop.evaluate(site.validation)
                for (parameter, values) in zip(loop.kept, loop.bestWeights) {
                    kept[parameter.name] = LazyTensor(Tensor(values, shape: parameter.shape))
                }
            }
            let best = loop.flatMap { history.isEmpty ? nil : history[$0.best].epoch } ?? 0
            let (metrics, figures) = try self.metrics(
                history, best: best, score, in: site, failure: error.failure)
            guard crew.rank == 0 else { return }
            try describe(kept, metrics, figures, score, history, in: site)
        } catch {
            report(.unrecorded("\(error)"))
        }
    }
}
