// Why files of features cannot be merged.

import GraftTensors

/// Parts of features that do not make a whole.
enum FeaturePartError: Diagnostic, Equatable {
    /// A file that `graft features --shard` did not write.
    case notAPart(path: String)
    /// No file at all.
    case noParts
    /// A part of other images, of another model or of another division than the first.
    case otherRun(path: String, first: String)
    /// The same part twice.
    case duplicate(path: String, index: Int)
    /// A part that is not there.
    case missing(first: String, index: Int, of: Int)
    /// A part with fewer images than it should have.
    case short(first: String)
    /// A part with more images than it should have.
    case long(first: String)
    /// Other images than those that were divided.
    case otherImages(first: String)

    var message: String {
        switch self {
        case .notAPart(let path): "cannot read `\(path)`: it is not a part of features"
        case .noParts: "no parts of features to merge"
        case .otherRun(let path, let first):
            "cannot read `\(path)`: it is of other images, another model or another number of parts "
                + "than `\(first)`"
        case .duplicate(let path, let index):
            "cannot read `\(path)`: part \(index) is there twice"
        case .missing(let first, let index, let count):
            "cannot read `\(first)`: part \(index) of \(count) is missing"
        case .short(let first): "cannot read `\(first)`: a part is shorter than it should be"
        case .long(let first): "cannot read `\(first)`: a part is longer than it should be"
        case .otherImages(let first):
            "cannot read `\(first)`: the parts' images are not those that were divided"
        }
    }

    var hint: String? {
        switch self {
        case .notAPart:
            "name the files that `graft features --shard I/N -o PART.safetensors` wrote"
        default: "compute the missing parts, or name all of one run"
        }
    }
}
