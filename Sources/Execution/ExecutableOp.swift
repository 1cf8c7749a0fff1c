// What Execution asks of an operation: a step forward, a step backward, and what it fuses with.

import GraftNetworks
import GraftTensors

/// An operation as Execution knows it: each has a file of its own in `Ops/`.
///
/// One implementation serves inference and training. What forward leaves for backward is the
/// operation's own ``Saved`` value.
protocol ExecutableOp: OpRule {
    /// The values that backward needs of forward; `Void` if nothing.
    associatedtype Saved

    /// The work that a step of this operation can do on its value before it writes it.
    var epilogue: Epilogue { get }
    /// The part that this operation plays for a step before it.
    var role: FusionRole { get }
    /// The zeros that it puts around a map, if that is all that it does.
    var zeroPadding: Padding? { get }
    /// The treatment of values in eight bits.
    var quantization: QuantizationRole { get }
    /// Whether its step can put zeros around the map that it reads, which `source` computes.
    func padsItself(after source: Op) -> Bool
    /// The dims of a weight as oneDNN takes it: those of its shape but for grouped kernels.
    func dims(of parameter: Parameter) -> [Int]

    /// Appends the steps that compute the values of `site`.
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Saved>

    /// Appends the steps that compute the gradients of what `site` reads, and those of its weights.
    ///
    /// - Returns: a gradient for each input; nil where none flows.
    func backward(
        from gradients: OutputGradients, saved: Saved, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?]
}

extension ExecutableOp {
    var epilogue: Epilogue { .nothing }
    var role: FusionRole { .other }
    var zeroPadding: Padding? { nil }
    var quantization: QuantizationRole { .none }
    func padsItself(after source: Op) -> Bool { false }
    func dims(of parameter: Parameter) -> [Int] { parameter.shape.dimensions }
}

/// The work that a step can do on its value before it writes it.
enum Epilogue {
    /// Nothing.
    case nothing
    /// An activation that only cuts, in inference.
    case cut
    /// BatchNorm with running statistics, then a sum, then an activation.
    case product
}

/// The part that an operation plays for a step that may take it in.
enum FusionRole {
    /// Nothing that a step takes in.
    case other
    /// A BatchNorm.
    case norm
    /// A sum.
    case sum
    /// An activation.
    case activation(Activation)
    /// Nothing at all but while learning.
    case dropping
}

/// The treatment of values in eight bits by an operation.
enum QuantizationRole {
    /// It reads f32.
    case none
    /// It multiplies them.
    case product
    /// It is done by its reader, where that is a product.
    case padding
    /// Its value is some of the numbers that it reads.
    case selection
}

/// The place of an operation in a network, which its rule compiles.
///
/// A group of several nodes is one site: it reads what its first node reads and what its sum adds,
/// and its value is that of its last node.
struct NodeSite {
    /// The place of the first node in the graph.
    let index: Int
    /// The name of the first node.
    let name: String
    /// The weights of the first node.
    let parameters: [Parameter]
    /// The values that are read.
    let inputs: [ValueID]
    /// The types of those values, without the padding that the step does itself.
    let inputTypes: [ValueType]
    /// The types of the first node's values.
    let outputTypes: [ValueType]
    /// The nodes that are computed together.
    let group: Group

    /// The shape of the first value that is read.
    var x: Shape { inputTypes[0].shape }
    /// The shape of the first value that is computed.
    var y: Shape { outputTypes[0].shape }
    /// The zeros that the step puts around what it reads.
    var padding: Padding { group.padding ?? .zero }

    /// The weight of this role.
    func parameter(_ role: Parameter.Role) -> Parameter? {
        parameters.first { $0.role == role }
    }

    /// The first weight, a kernel or a matrix.
    func kernel() throws(ExecutionError) -> Parameter {
        guard let parameter = parameters.first else {
            throw .missingWeight(layer: name, role: .kernel)
        }
        return parameter
    }

    /// The weight of this role, which the operation cannot do without.
    func required(_ role: Parameter.Role) throws(ExecutionError) -> Parameter {
        guard let parameter = parameter(role) else {
            throw .missingWeight(layer: name, role: role)
        }
        return parameter
    }
}

/// The result of forward: a value for each output, and what backward needs.
struct Outcome<Saved> {
    let values: [Memory]
    let saved: Saved
    /// Whether backward reads the value: if not, a sum may be written over it.
    let isReadBackward: Bool

    init(_ value: Memory, saved: Saved, isReadBackward: Bool = true) {
        self.init([value], saved: saved, isReadBackward: isReadBackward)
    }

    init(_ values: [Memory], saved: Saved, isReadBackward: Bool = true) {
        self.values = values
        self.saved = saved
        self.isReadBackward = isReadBackward
    }
}

extension Outcome where Saved == Void {
    init(_ value: Memory) { self.init(value, saved: ()) }
}

/// A group that is compiled forward.
protocol CompiledGroup {
    var site: NodeSite { get }
    func backward(from gradients: OutputGradients, in pass: BackwardPass) throws -> [Memory?]
}

/// A group with what its rule has left for backward.
struct Compiled<Rule: ExecutableOp>: CompiledGroup {
    let rule: Rule
    let site: NodeSite
    let saved: Rule.Saved

    func backward(from gradients: OutputGradients, in pass: BackwardPass) throws -> [Memory?] {
        try rule.backward(from: gradients, saved: saved, at: site, in: pass)
    }
}

extension Op {
    /// The operation as Execution knows it: the only switch over operations in this module.
    var executable: any ExecutableOp {
        switch self {
        case .input(let op): op
        case .conv2d(let op): op
        case .convTranspose2d(let op): op
        case .batchNorm(let op): op
        case .layerNorm(let op): op
        case .linear(let op): op
        case .activation(let op): op
        case .maxPool(let op): op
        case .averagePool(let op): op
        case .globalAveragePool(let op): op
        case .globalMaxPool(let op): op
        case .adaptiveAveragePool(let op): op
        case .add(let op): op
        case .multiply(let op): op
        case .concatenate(let op): op
        case .slice(let op): op
        case .flatten(let op): op
        case .reshape(let op): op
        case .pad(let op): op
        case .upsample(let op): op
        case .channelShuffle(let op): op
        case .affine(let op): op
        case .channelScale(let op): op
        case .dropout(let op): op
        case .dropPath(let op): op
        case .softmax(let op): op
        case .unitNorm(let op): op
        case .parameter(let op): op
        case .matMul(let op): op
        case .transpose(let op): op
        case .view(let op): op
        case .expand(let op): op
        case .elementwise(let op): op
        case .binary(let op): op
        case .reduce(let op): op
        case .groupNorm(let op): op
        case .localResponseNorm(let op): op
        case .padAxes(let op): op
        case .resize(let op): op
        case .split(let op): op
        case .gather(let op): op
        case .compare(let op): op
        case .where(let op): op
        case .cast(let op): op
        case .topK(let op): op
        case .argExtreme(let op): op
        case .take(let op): op
        case .attention(let op): op
        case .gatherElements(let op): op
        case .gatherND(let op): op
        case .scatterElements(let op): op
        case .scatterND(let op): op
        case .cumulate(let op): op
        case .gridSample(let op): op
        case .roiAlign(let op): op
        case .poolAxes(let op): op
        }
    }
}
