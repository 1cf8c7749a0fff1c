// Why an operator of a TFLite or .pt2 file cannot be read.

/// One way in which an operator asks for what graft does not do, or contradicts itself.
enum ForeignOperatorFlaw: Equatable {
    case unknown(String)
    case unknownCustom(String)
    // What it reads.
    case missingInput(Int)
    case missingOutput(Int)
    case missing(String)
    case readsNothing
    case noTensor(String)
    case noNumber(String)
    case noInteger(Double)
    case noSizes(String)
    case noChannels(String)
    case noMatrix
    case noMap([Int])
    case computed(String)
    case computedNumber
    case variable(String)
    case overwritten(String, by: String)
    case impossible(String, [Int])
    case large([Int])
    case openSizes
    case type(Int)
    case scales(String, [Int], count: Int, axis: Int)
    // How it is set.
    case activation(Int)
    case padding(Int)
    case mode(String)
    case argument(String, [Int])
    case settings(byteCount: Int)
    case axis(Int, rank: Int)
    case noAxis
    case order([Int])
    case counts([Int])
    case amounts([Int], rank: Int)
    case extents([Int])
    case bounds(Float, Float)
    case factor(String)
    case factors([Double])
    case norm(Double)
    case divisor
    case sampling(Int, border: Int)
    case symmetricBorder
    case gathersBySample
    case attention
    case adaptiveMaximum
    case mask
    case points(axes: [Int])
    // What fits.
    case kernel([Int], over: [Int])
    case matrix([Int])
    case weight([Int], rank: Int)
    case sizes([Int], of: [Int])
    case values(Int, of: Int)
    case parts([Int], of: Int)
    case place(Int, of: Int)
    case cut(from: [Int], to: [Int], of: [Int])
    case backwards

    var explanation: String {
        switch self {
        case .unknown(let name): "graft does not know the operator `\(name)`"
        case .unknownCustom(let name): "graft does not know the custom operator `\(name)`"
        case .missingInput(let index): "its input \(index) is missing"
        case .missingOutput(let index): "its output \(index) is missing"
        case .missing(let name): "`\(name)` is missing"
        case .readsNothing: "it reads nothing"
        case .noTensor(let name): "its `\(name)` must be a tensor"
        case .noNumber(let name): "its `\(name)` must be a number"
        case .noInteger(let number): "expected an integer, found \(number)"
        case .noSizes(let name): "the sizes of `\(name)` are missing"
        case .noChannels(let name): "expected `\(name)` to have channels"
        case .noMatrix: "its operand must be a matrix"
        case .noMap(let shape): "expected a map, found the sizes \(shape)"
        case .computed(let name): "`\(name)` is computed, expected numbers of the file"
        case .computedNumber: "its number is computed, expected one of the file"
        case .variable(let name): "`\(name)` keeps its value from run to run"
        case .overwritten(let name, let node):
            "it reads `\(name)` after `\(node)` wrote into a part of it"
        case .impossible(let name, let shape): "`\(name)` has the sizes \(shape)"
        case .large(let shape): "it makes too many numbers: \(shape)"
        case .openSizes: "its sizes depend on more than the batch"
        case .type(let code): "graft does not know the type \(code)"
        case .scales(let name, let shape, let count, let axis):
            "`\(name)` of sizes \(shape) has \(count) scales along axis \(axis)"
        case .activation(let code): "graft does not know its activation \(code)"
        case .padding(let code): "graft does not know its padding \(code)"
        case .mode(let name): "graft does not know its mode `\(name)`"
        case .argument(let name, let values): "graft does not read its `\(name)` of \(values)"
        case .settings(let count): "its settings have \(count) bytes"
        case .axis(let axis, let rank): "its axis \(axis) is not one of \(rank)"
        case .noAxis: "its axis is missing"
        case .order(let order): "its order of axes is \(order)"
        case .counts(let counts): "its counts are \(counts)"
        case .amounts(let amounts, let rank):
            "expected \(2 * rank) amounts of 0 to 65536, found \(amounts)"
        case .extents(let values): "expected extents of 1 to 65536, found \(values)"
        case .bounds(let low, let high): "its bounds are \(low) and \(high)"
        case .factor(let name): "its `\(name)` is not 1"
        case .factors(let factors): "its factors are \(factors)"
        case .norm(let order): "graft does not know norms of order \(order)"
        case .divisor: "it divides by a number of its own"
        case .sampling(let mode, let border):
            "graft does not know its mode \(mode) with a border of \(border)"
        case .symmetricBorder: "its border mirrors the edge itself"
        case .gathersBySample: "it gathers other places for each sample"
        case .attention: "its attention is causal or grouped"
        case .adaptiveMaximum: "it takes the largest of more than one part"
        case .mask: "it takes what a mask says"
        case .points(let axes): "it takes points of the axes \(axes)"
        case .kernel(let kernel, let map): "its kernel \(kernel) does not fit a value of \(map)"
        case .matrix(let kernel): "its kernel \(kernel) is shuffled or not a matrix"
        case .weight(let shape, let rank):
            "its weight has the sizes \(shape), expected \(rank) axes"
        case .sizes(let sizes, let shape): "its sizes \(sizes) do not fit a value of \(shape)"
        case .values(let found, let expected): "expected \(expected) values, found \(found)"
        case .parts(let parts, let size): "its parts \(parts) do not make \(size)"
        case .place(let place, let size): "it takes place \(place) of \(size)"
        case .cut(let start, let end, let shape): "it cuts \(start) to \(end) of \(shape)"
        case .backwards: "it adds axes or steps backwards"
        }
    }
}
