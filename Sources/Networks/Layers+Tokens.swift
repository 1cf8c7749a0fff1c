// The layers of networks over tokens (N, T, C): patches of an image, and rows that are learned.

import GraftTensors

/// A map (N, C, H, W) as tokens (N, H · W, C), row by row.
public struct TokensOfMap: Layer {
    private let name: String

    /// The pixels as tokens.
    public init(_ name: String = "tokens") { self.name = name }

    /// Adds the nodes.
    public func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        let channels = graph.channels(of: x)
        let last = try graph.add(
            .transpose([0, 2, 3, 1]), name: name + ".channels_last", inputs: [x])
        return try graph.add(.view([0, -1, channels]), name: name, inputs: [last])
    }
}

/// Learned tokens before all others: class tokens and registers.
public struct LeadingTokens: Layer {
    private let tokens: [(parameter: String, count: Int)]

    /// `count` tokens of each weight (1, count, C), in this order.
    public init(_ tokens: [(parameter: String, count: Int)]) { self.tokens = tokens }

    /// Adds the nodes.
    public func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        let width = graph.shapes[x][2]
        var parts: [Int] = []
        for (parameter, count) in tokens {
            let value = try graph.add(
                .parameter([1, count, width], learns: true), name: parameter, inputs: [])
            parts.append(
                try graph.add(
                    .expand([Op.Expand.batch, count, width]), name: parameter + ".repeated",
                    inputs: [value, x]))
        }
        guard !parts.isEmpty else { return x }
        return try graph.add(.concatenate(axis: 1), name: "with_tokens#", inputs: parts + [x])
    }
}

/// A learned table (1, T, C) that is added to tokens.
public struct PositionTable: Layer {
    private let parameter: String

    /// A table with a row for each token.
    public init(_ parameter: String) { self.parameter = parameter }

    /// Adds the nodes.
    public func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        let shape = graph.shapes[x]
        let table = try graph.add(
            .parameter([1, shape[1], shape[2]], learns: true), name: parameter, inputs: [])
        return try graph.add(.add, name: parameter + ".added", inputs: [x, table])
    }
}

/// A learned factor for each channel of tokens (arXiv:2103.17239).
public struct TokenScale: Layer {
    private let parameter: String

    /// A factor of this name.
    public init(_ parameter: String) { self.parameter = parameter }

    /// Adds the nodes.
    public func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        let factor = try graph.add(
            .parameter([graph.shapes[x][2]], learns: true), name: parameter, inputs: [])
        return try graph.add(.multiply, name: parameter + ".scaled", inputs: [x, factor])
    }
}

/// Layer normalisation of each token.
public func LayerNorm(_ name: String, epsilon: Float = 1e-6) -> Operation {
    Operation(.layerNorm(epsilon: epsilon, axes: [2]), name)
}

/// Layer normalisation of vectors (N, C).
public func VectorNorm(_ name: String, epsilon: Float = 1e-6) -> Operation {
    Operation(.layerNorm(epsilon: epsilon, axes: [1]), name)
}

/// One token as a vector (N, C).
public struct SelectedToken: Layer {
    private let index: Int

    /// The token at this place.
    public init(_ index: Int) { self.index = index }

    /// Adds the nodes.
    public func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        let width = graph.shapes[x][2]
        let token = try graph.add(
            .slice(start: index, count: 1, axis: 1), name: "selected_token.slice#", inputs: [x])
        return try graph.add(.view([0, width]), name: "selected_token#", inputs: [token])
    }
}

/// The mean of all tokens but the first, as a vector (N, C).
public struct MeanToken: Layer {
    private let skipped: Int

    /// The mean of the tokens after `skipped` others.
    public init(skipping skipped: Int) { self.skipped = skipped }

    /// Adds the nodes.
    public func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        var tokens = x
        if skipped > 0 {
            tokens = try graph.add(
                .slice(start: skipped, count: max(graph.shapes[x][1] - skipped, 0), axis: 1),
                name: "patch_tokens", inputs: [x])
        }
        return try graph.add(
            .reduce(.mean, axes: [1], keepsAxes: false), name: "mean_token", inputs: [tokens])
    }
}
