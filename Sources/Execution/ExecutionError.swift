// What can go wrong between a graph and oneDNN.

public import GraftNetworks
public import GraftTensors

/// An error in planning or running a network.
public enum ExecutionError: Diagnostic, Equatable {
    /// oneDNN refused.
    case library(String, code: Int)
    /// A pooling that rounds up and counts its padding.
    case roundedPooling(layer: String)
    /// A layer that no gradient passes.
    case noGradient(layer: String, kind: String)
    /// A layer without a weight of this kind.
    case missingWeight(layer: String, role: Parameter.Role)
    /// A sum of values in eight bits whose memory cannot be shared.
    case unlikeAddend(layer: String)
    /// A weight that the network needs is not there, or has another shape.
    case weight(String, expected: Shape, found: Shape?)
    /// The system has not enough memory for what a plan computes with.
    case memory(byteCount: Int)
    /// An input of another shape than was planned for.
    case input(expected: Shape, found: Shape)
    /// An index that an axis does not have.
    case index(layer: String, index: Float, count: Int)
    /// Another number of inputs than the network has.
    case inputCount(expected: Int, found: Int)
    /// No network has a node of this number.
    case node(Int, count: Int)
    /// Eight bits are asked for and no ranges are known.
    case unquantized(String)

    /// The cause in words.
    public var message: String {
        switch self {
        case .library(let what, let code): "oneDNN could not \(what) (status \(code))"
        case .roundedPooling(let layer):
            "layer `\(layer)`: a mean that rounds up and counts padding cannot run"
        case .noGradient(let layer, let kind):
            "layer `\(layer)`: gradients cannot pass a layer of kind `\(kind)`"
        case .missingWeight(let layer, let role):
            "layer `\(layer)`: expected a weight `\(role.rawValue)`, found none"
        case .unlikeAddend(let layer):
            "layer `\(layer)`: the 8-bit values of its sum have different layouts"
        case .weight(let name, let expected, let found):
            "the weight `\(name)`: expected \(expected), found \(found.map { "\($0)" } ?? "none")"
        case .memory(let byteCount): "no memory for \(byteCount) bytes of values"
        case .input(let expected, let found): "expected an input \(expected), found \(found)"
        case .index(let layer, let index, let count):
            "layer `\(layer)`: expected an index from \(-count) to \(count - 1), found \(index)"
        case .inputCount(let expected, let found): "expected \(expected) inputs, found \(found)"
        case .node(let index, let count):
            "expected a node from 0 to \(count - 1), found \(index)"
        case .unquantized(let name):
            "`\(name)` cannot be computed in int8: nothing says between which numbers its values lie"
        }
    }
    /// A remedy, if there is one.
    public var hint: String? {
        switch self {
        case .library: "see what runs with the environment variable `ONEDNN_VERBOSE=1`"
        case .roundedPooling, .missingWeight: nil
        case .unlikeAddend: "compute in f32 instead: `--precision f32`"
        case .noGradient:
            "freeze the part of the network up to this layer, or use another backbone"
        case .weight: "convert the model again with `graft convert`"
        case .memory: "use a smaller batch or smaller images"
        case .input, .inputCount, .index, .node: nil
        case .unquantized: "observe some images first: `graft quantize MODEL IMAGES -o MODEL8`"
        }
    }
}

/// The settings of a plan.
public struct ExecutionOptions: Sendable {
    /// The number of threads; all that the process may use if nil.
    public var threads: Int?
    /// Whether convolutions may be computed by transforms.
    public var accuracy: Accuracy
    /// The store of measured choices; without it, a rule chooses.
    public var memory: (any PlanMemory)?
    /// The precision of products; f32 where the processor has no instructions for it.
    public var precision = Precision.f32
    /// The ranges of values by the names of their nodes, for ``Precision/int8``: see ``RangeObservation``.
    public var ranges: [String: ValueRange] = [:]
    /// The way of a batch's images through the network.
    public var division = Division.automatic
    /// The file that keeps prepared weights between runs; without it, they are prepared in every run.
    public var planFile: PlanFilePlace?
    /// Options.
    public init(
        threads: Int? = nil, accuracy: Accuracy = .default, memory: (any PlanMemory)? = nil,
        precision: Precision = .f32
    ) {
        self.precision = precision
        self.threads = threads
        self.accuracy = accuracy
        self.memory = memory
    }
}

/// The closeness of sums to their definition.
public enum Accuracy: String, Sendable, CaseIterable {
    /// Every convolution is the sum that defines it.
    case exact
    /// 3×3 convolutions may be computed with fewer multiplications (Winograd): their rounding error
    /// is some units in the sixth digit and not in the seventh.
    case `default`
}
