// Why a node of an ONNX file cannot be read.

import GraftTensors

/// A cause for which a node is refused; all prose about them stands here.
enum ONNXFlaw {
    /// Something that the operator needs is not there.
    case missing(Part)
    /// An input that the operator needs is not there.
    case missingInput(String)
    /// Numbers that decide a size are computed.
    case computed(Part)
    /// A part of a size that does not fit values of these.
    case unfit(Part, [Shape])
    /// A value of a number of axes that the operator has no rule for.
    case axes(Shape)
    /// A count that does not divide a value.
    case division(Int, Part, Shape)
    /// A setting of a value that graft does not know.
    case unknown(Part, String)
    /// More than graft takes.
    case excess(Part, limit: Int)
    /// A place beyond the number of places.
    case place(Int, count: Int)
    /// A case that graft does not compute.
    case beyond(Feature)

    /// The parts of nodes.
    enum Part: String {
        case axis, blocks, body, channels, condition, count, equation, graph, groups, heads, input,
            kernel
        case lengths, lists, memory, mode, nodes, output, parts, place, reduction, region,
            rounds
        case rule, sequence, size, sizes, table, value, values, weights, window
        case elementType = "element type"
        case outputShape = "output shape"
        case nesting = "nested graphs"
        case turnedNumbers = "turned numbers"
    }

    /// What ONNX has and graft has not, or the other way round.
    enum Feature: String {
        case coupledGates = "graft does not couple the gates of input and forgetting"
        case cumulativeProduct = "ONNX has no cumulative product"
        case dropping = "it drops numbers at random"
        case emptyIntegers = "graft reduces no empty integers"
        case emptyMean = "an empty value has no mean"
        case floatModulo = "ONNX has no such remainder of floats"
        case nothingLeft = "its result is empty"
        case sequencesApart = "graft reads `Scan` of sequences of one length alone"
        case sumOfWindows = "ONNX has no sum of windows"
        case otherNorm = "expected a norm of 1 or 2"
    }

    var explanation: String {
        switch self {
        case .missing(let part): "it lacks its \(part.rawValue)"
        case .missingInput(let name): "its input `\(name)` is missing"
        case .computed(let part): "its \(part.rawValue) is computed, expected numbers"
        case .unfit(let part, let shapes):
            "its \(part.rawValue) cannot be used with \(shapes.map(\.description).joined(separator: ", "))"
        case .axes(let shape): "expected another number of axes, found \(shape)"
        case .division(let count, let part, let shape):
            "its \(count) \(part.rawValue) do not divide \(shape)"
        case .unknown(let part, let name): "graft does not know the \(part.rawValue) `\(name)`"
        case .excess(let part, let limit):
            "expected at most \(limit) \(part.rawValue), found more"
        case .place(let index, let count): "it names place \(index) of \(count)"
        case .beyond(let feature): feature.rawValue
        }
    }
}

extension ONNXNode {
    /// The node with the cause for which it is refused.
    func fail(_ flaw: ONNXFlaw) -> ArchitectureError { fail(flaw.explanation) }
}

extension ONNXSite {
    /// The node with the cause for which it cannot be written.
    func fail(_ flaw: ONNXFlaw) -> ArchitectureError { fail(flaw.explanation) }
}
