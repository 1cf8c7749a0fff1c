// How a paper is written down: layers in a result builder, each adding nodes to a graph.

/// A piece of a network: takes the value of node `x` and gives the index of its result.
public protocol Layer: Sendable {
    /// Adds this layer's nodes after node `x`.
    func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int
}

/// Collects layers, with `if` and `for`.
@resultBuilder
public enum LayerBuilder {
    /// One layer.
    public static func buildExpression(_ layer: any Layer) -> [any Layer] { [layer] }
    /// Several layers.
    public static func buildExpression(_ layers: [any Layer]) -> [any Layer] { layers }
    /// A sequence.
    public static func buildBlock(_ parts: [any Layer]...) -> [any Layer] { parts.flatMap(\.self) }
    /// `if` without `else`.
    public static func buildOptional(_ part: [any Layer]?) -> [any Layer] { part ?? [] }
    /// `if`.
    public static func buildEither(first part: [any Layer]) -> [any Layer] { part }
    /// `else`.
    public static func buildEither(second part: [any Layer]) -> [any Layer] { part }
    /// `for`.
    public static func buildArray(_ parts: [[any Layer]]) -> [any Layer] { parts.flatMap(\.self) }
}

extension [any Layer] {
    /// Adds the layers one after another.
    public func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        var x = x
        for layer in self { x = try layer.apply(to: x, in: &graph) }
        return x
    }
}

/// Layers one after another; none is the identity.
public struct Sequential: Layer {
    private let layers: [any Layer]
    /// These layers.
    public init(@LayerBuilder _ layers: () -> [any Layer]) { self.layers = layers() }
    /// Adds them in order.
    public func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        try layers.apply(to: x, in: &graph)
    }
}

/// Layers whose names begin with a prefix.
public struct Scope: Layer {
    private let name: String
    private let layers: [any Layer]
    /// Layers called `name.…` (PyTorch) or `name_…` (Keras).
    public init(_ name: String, @LayerBuilder _ layers: () -> [any Layer]) {
        self.name = name
        self.layers = layers()
    }
    /// Adds them in order.
    public func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        graph.scopes.append(name)
        defer { graph.scopes.removeLast() }
        return try layers.apply(to: x, in: &graph)
    }
}

/// A part of the network that `--unfreeze` can name.
public struct Stage: Layer {
    private let name: String
    private let layers: [any Layer]
    /// Layers that belong to the stage `name`.
    public init(_ name: String, @LayerBuilder _ layers: () -> [any Layer]) {
        self.name = name
        self.layers = layers()
    }
    /// Adds them in order.
    public func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        let outer = graph.stage
        graph.stage = name
        defer { graph.stage = outer }
        return try layers.apply(to: x, in: &graph)
    }
}

/// Branches that all read the same value, and an operation over their results.
public struct Branches: Layer {
    private let op: Op
    private let name: String?
    private let branches: [any Layer]

    /// `op` over the results of `branches`, each one layer (group several in a ``Sequential``).
    public init(_ op: Op, _ name: String? = nil, @LayerBuilder _ branches: () -> [any Layer]) {
        self.op = op
        self.name = name
        self.branches = branches()
    }
    /// Adds the branches, then the operation.
    public func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        var results: [Int] = []
        for branch in branches { results.append(try branch.apply(to: x, in: &graph)) }
        return try graph.add(op, name: name, inputs: results)
    }
}

/// The sum of branches; an empty ``Sequential`` is the shortcut.
public func Add(_ name: String? = nil, @LayerBuilder _ branches: () -> [any Layer]) -> Branches {
    Branches(.add, name, branches)
}

/// The product of branches: a gate and what it gates.
public func Multiply(_ name: String? = nil, @LayerBuilder _ branches: () -> [any Layer]) -> Branches
{
    Branches(.multiply, name, branches)
}

/// The branches joined along the channels.
public func Concatenate(_ name: String? = nil, @LayerBuilder _ branches: () -> [any Layer])
    -> Branches
{
    Branches(.concatenate, name, branches)
}
