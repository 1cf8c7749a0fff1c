// Running a model: tensors in, tensors out, and photos in, labels out.

public import GraftExecution
public import GraftImages
internal import GraftNetworks
internal import GraftTensors

/// A model made ready for batches of one size.
///
/// Made once and used for many photos. Any thread may run it, one at a time, with the same answers.
public final class Runner {
    /// The model that runs.
    public let model: Model
    /// The node whose value comes back.
    public let output: Int
    private let plan: InferencePlan
    private let batch: Int

    /// Plans `model` for batches of `batch` photos up to the value of node `output`, by default
    /// the network's last; `options` are those of the model unless given.
    ///
    /// - Throws: ``ModelError/unusable(_:reason:hint:)`` if `batch` is less than 1, what
    ///   ``Preprocessing/validate()`` throws, `ExecutionError.node` if there is no such node.
    public init(
        _ model: Model, batch: Int = 1, output: Int? = nil, options: ExecutionOptions? = nil
    ) throws {
        guard batch > 0 else {
            throw ModelError.unusable(
                model.graph.name, reason: "expected a batch size of 1 or more, found \(batch)",
                hint: nil)
        }
        try model.preprocessing.validate()
        self.model = model
        self.batch = batch
        self.output = output ?? model.graph.output
        plan = try InferencePlan(
            graph: model.graph, weights: model.weights, input: model.input(count: batch),
            outputs: [self.output], options: model.planned(options ?? model.execution))
    }

    /// The value of the output for each photo, (C…) each, in order.
    public func run(_ images: [Image]) throws -> [[Float]] {
        try run(count: images.count) { index, place in
            model.preprocessing.write(images[index], into: place)
        }
    }

    /// The value of the output for each input, (C…) each, in order; inputs of another size than the
    /// network's are an error of the caller.
    package func run(_ inputs: [PreparedImage]) throws -> [[Float]] {
        try run(count: inputs.count) { index, place in
            _ = place.update(fromContentsOf: inputs[index].values.prefix(place.count))
        }
    }

    private func run(
        count: Int, fill: (Int, UnsafeMutableBufferPointer<Float>) -> Void
    ) throws -> [[Float]] {
        try model.requireImages()
        let shape = model.input(count: batch)
        let size = shape.count / batch
        var results: [[Float]] = []
        for start in stride(from: 0, to: count, by: batch) {
            try Task.checkCancellation()
            let chunk = start..<min(start + batch, count)
            let input = Tensor(shape: shape) { target in
                for index in chunk {
                    let at = (index - start) * size
                    fill(index, UnsafeMutableBufferPointer(rebasing: target[at..<(at + size)]))
                }
            }
            let values = try plan.run(input)[0]
            let width = values.count / batch
            values.withFloats { floats in
                for index in 0..<chunk.count {
                    results.append(Array(floats[(index * width)..<((index + 1) * width)]))
                }
            }
        }
        return results
    }
}
