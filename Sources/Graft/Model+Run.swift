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
    public init(
        _ model: Model, batch: Int = 1, output: Int? = nil, options: ExecutionOptions? = nil
    ) throws {
        self.model = model
        self.batch = batch
        self.output = output ?? model.graph.output
        plan = try InferencePlan(
            graph: model.graph, weights: model.weights, input: model.input(count: batch),
            outputs: [self.output], options: model.planned(options ?? model.execution))
    }

    /// The value of the output for each photo, (C…) each, in order.
    public func run(_ images: [Image]) throws -> [[Float]] {
        let shape = model.input(count: batch)
        let size = shape.count / batch
        var results: [[Float]] = []
        for start in stride(from: 0, to: images.count, by: batch) {
            let chunk = images[start..<min(start + batch, images.count)]
            let input = Tensor(shape: shape) { target in
                for (index, image) in chunk.enumerated() {
                    let place = UnsafeMutableBufferPointer(
                        rebasing: target[(index * size)..<((index + 1) * size)])
                    model.preprocessing.write(image, into: place)
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
