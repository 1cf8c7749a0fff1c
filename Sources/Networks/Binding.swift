// How a state dict fills the parameters of a graph.

public import GraftTensors

/// Which names and shapes of a file and of a network do not meet.
public struct BindingReport: Sendable, Equatable {
    /// The network's name.
    public var network: String
    /// Parameters of the network that the file lacks.
    public var missing: [String] = []
    /// Tensors of the file that the network has no place for.
    public var unexpected: [String] = []
    /// Names in both whose shapes differ: name, expected, found.
    public var mismatched: [Mismatch] = []

    /// A shape that is not the expected one.
    public struct Mismatch: Sendable, Equatable {
        /// The parameter's name.
        public var name: String
        /// The network's shape, in logical order.
        public var expected: Shape
        /// The file's shape, in logical order.
        public var found: Shape
    }

    /// Whether everything met.
    public var isClean: Bool { missing.isEmpty && unexpected.isEmpty && mismatched.isEmpty }

    /// An empty report.
    public init(network: String) { self.network = network }

    var message: String {
        var parts: [String] = []
        func list(_ what: String, _ names: [String]) {
            guard !names.isEmpty else { return }
            let shown = names.prefix(5).map { "`\($0)`" }.joined(separator: ", ")
            parts.append(
                "\(what) \(shown)" + (names.count > 5 ? " and \(names.count - 5) more" : ""))
        }
        list("missing in the file:", missing)
        list("not in the network:", unexpected)
        list(
            "shapes differ:",
            mismatched.map { "\($0.name): expected \($0.expected), found \($0.found)" })
        return "the weights do not fit `\(network)`: " + parts.joined(separator: "; ")
    }

    var hint: String {
        "see the file's tensors with `graft inspect` and the network's with `graft summary`"
    }
}
