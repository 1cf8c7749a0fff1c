// What a network may do that TFLite's operators do not.

import GraftTensors

/// A part of a network that has no form in TFLite.
enum TFLiteLack: Equatable {
    case operation(String)
    case function(String)
    case noNumbers
    case normalization(axes: [Int], rank: Int)
    case neighbours(Int)
    case shape(Shape)
    case transposedGroups
    case vectors
    case dilatedPool
    case unevenParts(height: Int, width: Int, of: Shape)
    case secondInput
    case backwards
    case negativeBorder
    case border(String)
    case factors(height: Double, width: Double)
    case rule(mode: String, coordinates: String)

    var explanation: String {
        switch self {
        case .operation(let name): "the operation `\(name)`"
        case .function(let name): "the function `\(name)`"
        case .noNumbers: "a layer without its weights"
        case .normalization(let axes, let rank): "a normalisation over axes \(axes) of \(rank)"
        case .neighbours(let count): "a normalisation by \(count) neighbouring channels"
        case .shape(let shape): "this normalisation of a value of \(shape)"
        case .transposedGroups: "a transposed convolution in groups or with dilation"
        case .vectors: "a product of vectors"
        case .dilatedPool: "a pool with dilation"
        case .unevenParts(let height, let width, let map):
            "means of \(height) × \(width) uneven parts of \(map)"
        case .secondInput: "an input of this kind"
        case .backwards: "a cut backwards"
        case .negativeBorder: "a border that is cut off along other axes"
        case .border(let mode): "a border of mode `\(mode)`"
        case .factors(let height, let width): "resizing by \(height) × \(width)"
        case .rule(let mode, let coordinates):
            "resizing by the rule `\(mode)`, `\(coordinates)`"
        }
    }
}
