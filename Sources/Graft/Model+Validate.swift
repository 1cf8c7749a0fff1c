// Whether the parts of a model fit together: a program may have changed any of them.

internal import GraftImages
internal import GraftNetworks
internal import GraftTensors
internal import GraftTraining

extension Model {
    /// Throws unless the parts of the model fit together: its graph and input, its labels, thresholds
    /// and neighbours, and its task. A model that a file was opened as is valid; what a program has
    /// changed may not be.
    ///
    /// - Throws: `NetworkError` and `ImageError` for the graph and the preprocessing,
    ///   ``ModelError/unusable(_:reason:hint:)`` for the rest.
    public func validate() throws {
        func reject(_ reason: String, _ hint: String? = nil) -> ModelError {
            .unusable(graph.name, reason: reason, hint: hint)
        }
        try preprocessing.validate()
        guard graph.inputChannels == preprocessing.channels else {
            throw reject(
                "expected a preprocessing of \(graph.inputChannels) channels, found "
                    + "\(preprocessing.channels)")
        }
        // Also the check that every node that is named is there.
        let shapes = try graph.shapes(input: input())
        if neighbours == nil, !task.traits.answersRaw {
            let outputs = shapes[try answer().node].dimensions.dropFirst().reduce(1, *)
            guard labels.isEmpty || labels.count == outputs || isBinary && labels.count == 2 else {
                throw reject(
                    "expected \(outputs) labels, one per output, found \(labels.count)",
                    "`--labels` names one per output, in their order")
            }
            guard !task.traits.hasThresholds || thresholds.count == outputs else {
                throw reject("expected \(outputs) thresholds, found \(thresholds.count)")
            }
            guard thresholds.allSatisfy(\.isFinite) else {
                throw reject("expected finite thresholds, found \(thresholds)")
            }
        }
        try asTask { try $0.check(answerSite()) }
        guard let neighbours else { return }
        let width = shapes[graph.features].dimensions.dropFirst().reduce(1, *)
        guard neighbours.width == width else {
            throw reject(
                "expected neighbours of \(width) features, found \(neighbours.width)")
        }
        guard (1...max(1, neighbours.labels.count)).contains(neighbours.count) else {
            throw reject(
                "expected to ask 1 to \(neighbours.labels.count) neighbours, found "
                    + "\(neighbours.count)")
        }
        guard neighbours.labels.allSatisfy(labels.indices.contains) else {
            throw reject("a neighbour is of a class beyond the \(labels.count) labels")
        }
    }
}
