// Which of a node's values is read.

/// One value of a node; most nodes have one.
public struct ValueID: Sendable, Hashable {
    /// The index of the node.
    public var node: Int
    /// Which of its values.
    public var output: Int

    /// The first value of a node unless another is given.
    public init(_ node: Int, output: Int = 0) {
        self.node = node
        self.output = output
    }
}

extension ValueID: Codable {
    /// Reads the index of a node, as version 1 of the native file has it, or a pair.
    public init(from decoder: any Decoder) throws {
        if let node = try? decoder.singleValueContainer().decode(Int.self) {
            self.init(node)
            return
        }
        var pair = try decoder.unkeyedContainer()
        self.init(try pair.decode(Int.self), output: try pair.decode(Int.self))
    }

    /// Writes the index of the node alone where it is its first value.
    public func encode(to encoder: any Encoder) throws {
        guard output != 0 else {
            var container = encoder.singleValueContainer()
            return try container.encode(node)
        }
        var pair = encoder.unkeyedContainer()
        try pair.encode(node)
        try pair.encode(output)
    }
}
