// An ONNX graph under construction: operators, constants and weights.

import FoundationEssentials
import GraftNetworks
internal import GraftSchemas
import GraftTensors
import OrderedCollections

/// The operators of a model as they are written, one after another.
struct ONNXGraph {
    /// The attributes of an operator, in the order in which they are written.
    struct Attributes: ExpressibleByDictionaryLiteral {
        private(set) var entries: [(name: String, value: Attribute)] = []

        init(dictionaryLiteral elements: (String, Attribute)...) {
            for (name, value) in elements { entries.append((name, value)) }
        }

        /// Appends an attribute that is not there yet.
        mutating func append(_ value: Attribute, named name: String) {
            entries.append((name, value))
        }

        /// The attributes as the file has them.
        var protos: [Onnx_AttributeProto] {
            entries.map { name, value in
                var attribute = Onnx_AttributeProto()
                attribute.name = name
                switch value {
                case .integer(let value):
                    attribute.type = .int
                    attribute.i = Int64(value)
                case .integers(let values):
                    attribute.type = .ints
                    attribute.ints = values.map { Int64($0) }
                case .number(let value):
                    attribute.type = .float
                    attribute.f = value
                case .text(let value):
                    attribute.type = .string
                    attribute.s = Data(value.utf8)
                }
                return attribute
            }
        }

        static func + (first: Attributes, rest: Attributes) -> Attributes {
            var all = first
            all.entries += rest.entries
            return all
        }
    }

    private(set) var nodes: [Onnx_NodeProto] = []
    private(set) var initializers: [Onnx_TensorProto] = []
    /// The weights among them.
    private var written: Set<String> = []
    /// The size of the weights so far.
    private(set) var byteCount = 0
    private let weights: StateDict

    /// The names of values that are taken.
    private var names: UniqueNames

    /// An empty graph that takes its weights from `weights`.
    init(weights: StateDict) {
        self.weights = weights
        names = UniqueNames(taken: Set(weights.tensors.keys).union(["input"]))
    }

    /// The name, or with a number where another value has it.
    mutating func claim(_ name: String) -> String { names.claim(name) }

    /// The value of an attribute.
    enum Attribute: ExpressibleByIntegerLiteral, ExpressibleByStringLiteral,
        ExpressibleByArrayLiteral
    {
        case integer(Int)
        case integers([Int])
        case number(Float)
        case text(String)

        init(integerLiteral value: Int) { self = .integer(value) }
        init(stringLiteral value: String) { self = .text(value) }
        init(arrayLiteral elements: Int...) { self = .integers(elements) }

        /// A height and a width.
        static func extent(_ extent: Extent) -> Attribute {
            .integers([extent.height, extent.width])
        }
        /// The amounts before each axis, then those after.
        static func padding(_ padding: Padding) -> Attribute {
            .integers([padding.top, padding.left, padding.bottom, padding.right])
        }
    }

    /// Adds an operator that reads `inputs` and returns the name of its value. `yields` names its
    /// values where they have names that others know them by.
    @discardableResult
    mutating func emit(
        _ type: String, name: String, inputs: [String], attributes: Attributes = [:],
        yields outputs: [String]? = nil
    ) -> String {
        let name = claim(name)
        var node = Onnx_NodeProto()
        node.opType = type
        node.name = name
        node.input = inputs
        node.output = outputs ?? [name]
        node.attribute = attributes.protos
        nodes.append(node)
        return node.output.first ?? name
    }

    /// Adds the operator that a node is: it has the node's name, and reads the node's inputs and
    /// then `more`.
    mutating func emit(
        _ type: String, at site: ONNXSite, more: [String] = [], attributes: Attributes = [:]
    ) -> String {
        emit(type, name: site.name, inputs: site.inputs + more, attributes: attributes)
    }

    /// Adds numbers and returns their name; a scalar unless `shape` is given.
    mutating func constant(_ values: [Float], shape: [Int], name: String) -> String {
        let name = claim(name)
        var tensor = Onnx_TensorProto()
        tensor.name = name
        tensor.dataType = 1
        tensor.dims = shape.map { Int64($0) }
        tensor.rawData = values.withUnsafeBytes { Data($0) }
        initializers.append(tensor)
        return name
    }

    /// Adds one number and returns its name.
    mutating func constant(_ value: Float, name: String) -> String {
        constant([value], shape: [], name: name)
    }

    /// Adds a list of integers and returns its name.
    mutating func constant(_ values: [Int], name: String) -> String {
        constant(integers: values, dimensions: [Int64(values.count)], name: name)
    }

    /// Adds one integer and returns its name.
    mutating func constant(integer value: Int, name: String) -> String {
        constant(integers: [value], dimensions: [], name: name)
    }

    private mutating func constant(
        integers: [Int], dimensions: [Int64], name: String
    ) -> String {
        let name = claim(name)
        var tensor = Onnx_TensorProto()
        tensor.name = name
        tensor.dataType = 7
        tensor.dims = dimensions
        tensor.rawData = integers.map { Int64($0) }.withUnsafeBytes { Data($0) }
        initializers.append(tensor)
        return name
    }

    /// ONNX' number of double precision.
    static let doubleType = 11

    /// Adds one number in double precision and returns its name.
    mutating func constant(double value: Double, name: String) -> String {
        let name = claim(name)
        var tensor = Onnx_TensorProto()
        tensor.name = name
        tensor.dataType = Int32(Self.doubleType)
        tensor.rawData = withUnsafeBytes(of: value) { Data($0) }
        initializers.append(tensor)
        return name
    }

    /// Adds a weight under its own name and returns that.
    mutating func weight(_ parameter: Parameter) throws -> String {
        guard let lazy = weights[parameter.name] else {
            throw NetworkError.missingWeight(parameter)
        }
        // What several nodes read stands once.
        guard written.insert(parameter.name).inserted else { return parameter.name }
        var tensor = Onnx_TensorProto()
        tensor.name = parameter.name
        tensor.dataType = 1
        tensor.dims = parameter.shape.dimensions.map { Int64($0) }
        tensor.rawData = try lazy.converted(to: .f32).load().withBytes { Data($0) }
        byteCount += tensor.rawData.count
        initializers.append(tensor)
        return parameter.name
    }

    /// Adds the weights of a node and returns their names.
    mutating func weights(at site: ONNXSite) throws -> [String] {
        try site.node.parameters.map { try weight($0) }
    }

    /// Adds `value` around a map and returns the result's name.
    mutating func pad(_ x: String, by padding: Padding, value: Float, name: String) -> String {
        let pads = constant(
            [0, 0, padding.top, padding.left, 0, 0, padding.bottom, padding.right],
            name: name + ".pads")
        let value = constant(value, name: name + ".value")
        return emit("Pad", name: name, inputs: [x, pads, value])
    }
}

/// A node that is written: what it reads, by the names in the model, and the shapes of its values.
struct ONNXSite {
    let node: Node
    /// The names of the values that it reads.
    let inputs: [String]
    /// The shapes of those values, for a batch of one.
    let shapes: [Shape]
    /// The shape of its value.
    let after: Shape

    /// The shape of its first input; its own if it reads nothing.
    var before: Shape { shapes.first ?? after }

    var name: String { node.name }
    /// The value that it reads first.
    var x: String { inputs.first ?? "input" }
    /// Whether its value is a map.
    var isMap: Bool { after.rank == 4 }
    /// The shape of constants by channel that broadcast over its value.
    var channelShape: [Int] {
        [1, after[1]] + [Int](repeating: 1, count: max(after.rank - 2, 0))
    }

    /// The reason why the node cannot be written.
    func fail(_ reason: String) -> ArchitectureError { .onnx(node: name, reason: reason) }
}

extension NetworkError {
    /// A graph whose weights lack one of its parameters.
    static func missingWeight(_ parameter: Parameter) -> NetworkError {
        .invalidGraph("its weight `\(parameter.name)` is missing")
    }
}
