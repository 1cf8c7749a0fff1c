// What reading weights decided or left out: not an error, but never silent.

/// A decision made while weights were read, for people to know.
public enum Remark: Sendable, Hashable, CustomStringConvertible {
    /// An entry of a file that holds nothing graft can use.
    case skipped(String, reason: String)
    /// The state dict that was read, of several in one checkpoint.
    case chosen(String, others: [String])
    /// The pickle holds a module of this class, of which the tensors were read.
    case module(String)
    /// The model was wrapped to run on several devices.
    case parallel(model: String)
    /// All names of the network began with this prefix.
    case stripped(prefix: String, tensors: Int)
    /// Parts that wrappers of modules had put into names were removed.
    case unwrapped(parts: [String], tensors: Int)
    /// The names number the network's children instead of naming them.
    case numbered(network: String)
    /// Tensors that are not in the network.
    case leftOut([String], network: String)
    /// The tensors of a head that is not the network's own.
    case headLeftOut([String], network: String)

    /// One sentence, lower case, without a period.
    public var description: String {
        switch self {
        case .skipped(let name, let reason): "skipped `\(name)`: \(reason)"
        case .chosen(let name, let others):
            "read the state dict `\(name)`; the file also has "
                + others.map { "`\($0)`" }.joined(separator: ", ")
                + " (choose with `--state-dict`)"
        case .module(let name):
            "read the tensors of a pickled module of class `\(name)`; its code is not run"
        case .parallel(let name):
            "took the model `\(name)` out of a wrapper that splits batches among devices"
        case .stripped(let prefix, let count):
            "removed the prefix `\(prefix)` from the names of \(count) tensors"
        case .unwrapped(let parts, let count):
            "removed " + parts.map { "`\($0).`" }.joined(separator: " and ")
                + " from inside the names of \(count) tensors"
        case .numbered(let network):
            "matched numbered modules to the children of `\(network)` in their order"
        case .leftOut(let names, let network):
            "left out \(Self.count(names)) not in `\(network)`: \(Self.list(names))"
        case .headLeftOut(let names, let network):
            "left out the head, which is not that of `\(network)`: \(Self.list(names)); "
                + "the model is the backbone alone"
        }
    }

    private static func count(_ names: [String]) -> String {
        names.count == 1 ? "1 tensor" : "\(names.count) tensors"
    }

    /// The names; many are put together by what they begin with.
    private static func list(_ names: [String]) -> String {
        guard names.count > 8 else {
            return names.map { "`\($0)`" }.joined(separator: ", ")
        }
        var groups: [(name: String, count: Int)] = []
        for name in names {
            let first = name.prefix { $0 != "." && $0 != "/" }
            let group = first.count == name.count ? name : first + "…"
            if let index = groups.firstIndex(where: { $0.name == group }) {
                groups[index].count += 1
            } else {
                groups.append((String(group), 1))
            }
            // Names without any order are not put together at any cost.
            guard groups.count <= 64 else { break }
        }
        if groups.count == 1 {
            return names.prefix(4).map { "`\($0)`" }.joined(separator: ", ")
                + " and \(names.count - 4) more"
        }
        let shown = groups.prefix(8).map {
            "`\($0.name)`" + ($0.count > 1 ? " (\($0.count))" : "")
        }
        let rest = names.count - groups.prefix(8).reduce(0) { $0 + $1.count }
        return shown.joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
    }
}
