// What Architectures asks of an operation: how other programs write it.

import GraftNetworks

/// The foreign spellings of one operation: each has a file of its own in this folder, in which the
/// readers of these spellings stand beside the writers.
protocol ExportableOp: OpRule {
    /// Writes the node as ONNX operators and returns the name of its value.
    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String
    /// Writes the node as Keras layers and returns the one that holds its value.
    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int
    /// Writes the node as TFLite steps and returns its values.
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value]
    /// Whether it only moves elements or chooses among them, so that integers stay what they are.
    var keepsIntegers: Bool { get }
    /// Whether its value is ≥ 0, where it is known which of its inputs are.
    func isNonNegative(reading inputs: [Bool]) -> Bool
}

extension ExportableOp {
    /// None, unless an operation says otherwise.
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        throw site.unsupported(.operation(kind))
    }

    /// Not, unless an operation says otherwise.
    var keepsIntegers: Bool { false }

    /// Not known, unless an operation says otherwise.
    func isNonNegative(reading inputs: [Bool]) -> Bool { false }
}

extension Op {
    /// The rule of the operation in Architectures: the only switch over operations in this module.
    var exportable: any ExportableOp {
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
        case .take(let op): op
        case .gatherElements(let op): op
        case .gatherND(let op): op
        case .scatterElements(let op): op
        case .scatterND(let op): op
        case .cumulate(let op): op
        case .gridSample(let op): op
        case .roiAlign(let op): op
        case .poolAxes(let op): op
        case .split(let op): op
        case .gather(let op): op
        case .compare(let op): op
        case .where(let op): op
        case .cast(let op): op
        case .topK(let op): op
        case .argExtreme(let op): op
        case .attention(let op): op
        }
    }
}
