// A TFLite graph under construction: tensors, steps and constants.

import GraftNetworks
internal import GraftSchemas
import GraftTensors

/// The steps of a model as they are written, one after another.
///
/// A map of the network is (N, C, H, W); TFLite's steps read it as (N, H, W, C). A value is made in
/// whichever order its step has, and is turned only where a step reads the other one.
struct TFLiteGraph {
    /// A value of the network: its tensor in the network's order of axes, and with channels last.
    struct Value {
        fileprivate(set) var plain: Int?
        fileprivate(set) var last: Int?

        /// A value in the network's order of axes.
        static func plain(_ tensor: Int) -> Value { Value(plain: tensor) }
        /// A map with its channels last.
        static func last(_ tensor: Int) -> Value { Value(last: tensor) }
    }

    private(set) var model = TFLiteModel()
    private let weights: StateDict
    /// The value of each node's output.
    private var values: [ValueID: Value] = [:]
    private var names = UniqueNames()
    /// Weights that are written already, by name and order of axes.
    private var written: [String: Int] = [:]
    /// For each tensor, the step that makes it.
    private var makers: [Int: Int] = [:]
    /// The number of nodes that read each value.
    let readers: [ValueID: Int]

    init(weights: StateDict, readers: [ValueID: Int]) {
        self.weights = weights
        self.readers = readers
    }

    // MARK: Values

    /// Gives the value of a node's output.
    mutating func set(_ value: Value, for id: ValueID) { values[id] = value }

    func value(of id: ValueID) -> Value { values[id] ?? Value() }

    /// The sizes of a tensor.
    func shape(of tensor: Int) -> [Int] { model.tensors[tensor].shape }

    /// The tensor of a value in the network's order of axes.
    mutating func plain(_ id: ValueID) throws -> Int {
        let value = value(of: id)
        if let plain = value.plain { return plain }
        guard let last = value.last else { throw NetworkError.valueMissing }
        let tensor = transposed(last, to: [0, 3, 1, 2], name: model.tensors[last].name + "/first")
        values[id]?.plain = tensor
        return tensor
    }

    /// The tensor of a map with its channels last.
    mutating func last(_ id: ValueID) throws -> Int {
        let value = value(of: id)
        if let last = value.last { return last }
        guard let plain = value.plain else { throw NetworkError.valueMissing }
        guard shape(of: plain).count == 4 else { return plain }
        let tensor = transposed(plain, to: [0, 2, 3, 1], name: model.tensors[plain].name + "/last")
        values[id]?.last = tensor
        return tensor
    }

    // MARK: Tensors

    mutating func tensor(
        named name: String, shape: [Int], dtype: DType = .f32, numbers: LazyTensor? = nil
    ) -> Int {
        var entry = TFLiteModel.Entry(
            name: names.claim(name), shape: shape, dtype: dtype, numbers: numbers)
        entry.isBatched = numbers == nil && isAnyBatch && shape.first == 1
        model.tensors.append(entry)
        return model.tensors.count - 1
    }
    /// Whether the number of images is left open.
    var isAnyBatch = true

    /// Adds integers: sizes, axes and amounts.
    mutating func constant(_ values: [Int], shape: [Int]? = nil, name: String) -> Int {
        let shape = shape ?? [values.count]
        let numbers = Tensor(.i32, Shape(shape), storage: Storage(values.map { Int32($0) }))
        return tensor(named: name, shape: shape, dtype: .i32, numbers: LazyTensor(numbers))
    }

    /// Adds numbers.
    mutating func constant(_ values: [Float], shape: [Int], name: String) -> Int {
        tensor(
            named: name, shape: shape,
            numbers: LazyTensor(Tensor(values, shape: Shape(shape))))
    }

    /// Adds one number.
    mutating func constant(_ value: Float, name: String) -> Int {
        constant([value], shape: [], name: name)
    }

    /// Adds a weight with its axes in another order, under its own name. Half precision is stored and
    /// widened where the network reads it.
    mutating func weight(
        _ parameter: Parameter, order: [Int]? = nil, shape: [Int]? = nil
    ) throws -> Int {
        let key = "\(parameter.name)|\(order ?? [])|\(shape ?? [])"
        if let known = written[key] { return known }
        guard var numbers = weights[parameter.name] else {
            throw NetworkError.missingWeight(parameter)
        }
        if numbers.dtype != .f16 { numbers = numbers.converted(to: .f32) }
        numbers = numbers.reshaped(parameter.shape)
        if let order { numbers = numbers.permuted(order) }
        if let shape { numbers = numbers.reshaped(Shape(shape)) }
        let sizes = numbers.shape.dimensions
        let isHalf = numbers.dtype == .f16
        let stored = tensor(
            named: parameter.name, shape: sizes, dtype: numbers.dtype, numbers: numbers)
        var result = stored
        if isHalf {
            // Its value has the name of the weight's layer, not a batch.
            let wasAnyBatch = isAnyBatch
            isAnyBatch = false
            result = emit(
                "DEQUANTIZE", reading: [stored], shape: sizes,
                name: parameter.name + "/dequantize")
            isAnyBatch = wasAnyBatch
        }
        written[key] = result
        return result
    }

    /// The numbers of a weight, in double precision.
    func numbers(of parameter: Parameter) throws -> [Double] {
        guard let numbers = weights[parameter.name] else {
            throw NetworkError.missingWeight(parameter)
        }
        return try numbers.load().doubles
    }

    // MARK: Steps

    /// Adds a step of one value and returns its tensor.
    mutating func emit(
        _ type: String, reading inputs: [Int], shape: [Int], name: String,
        options: [String: Int] = [:], numbers: [String: Float] = [:], dtype: DType = .f32
    ) -> Int {
        emit(
            type, reading: inputs, shapes: [shape], name: name, options: options,
            numbers: numbers, dtypes: [dtype])[0]
    }

    /// Adds a step of several values and returns their tensors.
    mutating func emit(
        _ type: String, reading inputs: [Int], shapes: [[Int]], name: String,
        options: [String: Int] = [:], numbers: [String: Float] = [:], dtypes: [DType]
    ) -> [Int] {
        let outputs = zip(shapes, dtypes).enumerated().map { index, value in
            tensor(
                named: index == 0 ? name : "\(name):\(index)", shape: value.0, dtype: value.1)
        }
        var step = TFLiteModel.Step(type: type, inputs: inputs, outputs: outputs)
        step.options.integers = options
        step.options.numbers = numbers
        for output in outputs { makers[output] = model.steps.count }
        model.steps.append(step)
        return outputs
    }

    /// Adds an order of axes; a map of one pixel or one channel only takes other sizes.
    mutating func transposed(_ x: Int, to order: [Int], name: String) -> Int {
        let before = shape(of: x)
        let after = order.map { before[$0] }
        let moving = order.filter { before[$0] != 1 }
        if moving == moving.sorted() { return reshaped(x, to: after, name: name) }
        let axes = constant(order, name: name + "/order")
        return emit("TRANSPOSE", reading: [x, axes], shape: after, name: name)
    }

    /// Adds other sizes; those of a batch stay open.
    mutating func reshaped(_ x: Int, to shape: [Int], name: String) -> Int {
        guard shape != self.shape(of: x) else { return x }
        var sizes = shape
        if isAnyBatch, sizes.first == 1, model.tensors[x].isBatched { sizes[0] = -1 }
        let target = constant(sizes, name: name + "/shape")
        return emit("RESHAPE", reading: [x, target], shape: shape, name: name)
    }

    /// Fuses an activation into the step that makes a tensor, if that step can have one and nothing
    /// else reads its value.
    mutating func fuse(_ activation: Int, into x: Int, readBy count: Int) -> Bool {
        guard count == 1, let maker = makers[x],
            TFLiteOperatorSchema.of(model.steps[maker].type).fields.contains(where: {
                $0.name == "activation"
            }), model.steps[maker].options.integers["activation"] ?? 0 == 0
        else { return false }
        model.steps[maker].options.integers["activation"] = activation
        return true
    }

    // MARK: Inputs and outputs

    mutating func input(named name: String, shape: [Int]) -> Int {
        let tensor = tensor(named: name, shape: shape)
        model.inputs.append(.init(name: name, tensor: tensor))
        return tensor
    }

    mutating func output(_ tensor: Int, named name: String) {
        model.outputs.append(.init(name: name, tensor: tensor))
    }

    /// Gives the model its description and metadata.
    mutating func describe(_ body: (inout TFLiteModel) -> Void) { body(&model) }
}

/// A node that is written: the shapes of what it reads and yields, for one image.
struct TFLiteSite {
    let node: Node
    /// The shapes of the values that it reads, in the network's order of axes.
    let shapes: [Shape]
    /// The shapes of its values.
    let results: [Shape]

    var name: String { node.name }
    var x: ValueID { node.reads.first ?? ValueID(0) }
    var before: Shape { shapes.first ?? after }
    var after: Shape { results.first ?? [] }
    /// The sizes of its value as TFLite's steps have it: channels last.
    var afterLast: [Int] { Self.last(after) }

    /// The sizes of a map with its channels last; others as they are.
    static func last(_ shape: Shape) -> [Int] {
        shape.rank == 4 ? [shape[0], shape[2], shape[3], shape[1]] : shape.dimensions
    }

    /// The reason why the node cannot be written.
    func unsupported(_ lack: TFLiteLack) -> ArchitectureError {
        .tflite(operator: name, reason: "TFLite has no form for \(lack.explanation)")
    }
}

extension NetworkError {
    /// A graph that reads a value before it is there.
    fileprivate static let valueMissing = NetworkError.invalidGraph("a value is missing")
    /// A graph that begins with something else than its input.
    static let inputMissing = NetworkError.invalidGraph("its first layer is not the input")
}
