// Cutting a graph in two, and putting a new head on it.

public import GraftTensors

extension Graph {
    /// The stages in the order of their first node; nodes of no stage are left out.
    public var stages: [String] {
        var seen: Set<String> = []
        return nodes.map(\.stage).filter { !$0.isEmpty && seen.insert($0).inserted }
    }

    /// The shapes of all nodes at some size that this graph accepts: what does not depend on the
    /// size of images (channels, ranks, embeddings) can be read off it.
    public func shapesAtSomeSize() throws(NetworkError) -> [Shape] {
        guard case .input(let images) = nodes.first?.op else {
            throw .invalidGraph("its first layer is not the input")
        }
        if let declaredTypes { return try types(inputs: declaredTypes).map { $0[0].shape } }
        var failure: NetworkError?
        for size in [
            224, 299, 331, 240, 260, 300, 380, 456, 528, 600, 480, 384, 320, 256, 192, 160, 128, 96,
            64, 56, 32, 28, 14, 8, 7, 1, 512, 640, 1024,
        ] {
            do throws(NetworkError) {
                return try shapes(input: [1, images.channels, size, size])
            } catch {
                failure = failure ?? error
            }
        }
        // A network with a matrix over a map fits one size alone, which may be any.
        if nodes.count <= 2000 {
            for size in 2...600 {
                if let shapes = try? shapes(input: [1, images.channels, size, size]) {
                    return shapes
                }
            }
        }
        throw failure ?? .invalidGraph("it fits no size of image")
    }

    /// Whether every later node reads only `node` and what comes after it.
    private func dominates(_ node: Int) -> Bool {
        nodes[(node + 1)...].allSatisfy { $0.inputs.allSatisfy { $0 >= node } }
    }

    /// The last node before the last `count` stages (the head not counted) through which all of
    /// the network flows: what comes before it can stay frozen and run once. 0 stages: the
    /// features; more stages than there are: the input.
    public func cut(unfreezing count: Int) -> Int {
        let body = stages.filter { $0 != "head" }
        guard count > 0 else { return features }
        guard count < body.count else { return 0 }
        let thawed = Set(body.suffix(count))
        var node = nodes.firstIndex { thawed.contains($0.stage) }.map { $0 - 1 } ?? features
        node = Swift.min(node, features)
        while node > 0, !dominates(node) { node -= 1 }
        return Swift.max(node, 0)
    }

    /// The number of stages from the one called `name` to the last before the head, or nil.
    public func stages(from name: String) -> Int? {
        let body = stages.filter { $0 != "head" }
        return body.firstIndex(of: name).map { body.count - $0 }
    }

    /// The network up to and with node `node`, and the rest as a network that reads its value.
    ///
    /// The suffix begins with an input called like the cut. If the value there is a vector, that
    /// input is (N, C, 1, 1) and a `flatten` follows it; tokens are an input (N, T, C).
    public func split(at node: Int) throws(NetworkError) -> (prefix: Graph, suffix: Graph) {
        guard nodes.indices.contains(node) else {
            throw .invalidGraph("cannot cut at layer \(node) of \(nodes.count)")
        }
        let cut = nodes[node]
        for later in nodes[(node + 1)...] {
            for input in later.inputs where input < node {
                throw .invalidNode(
                    cut.name,
                    reason:
                        "cannot cut here: `\(later.name)` also reads `\(nodes[input].name)` before it"
                )
            }
        }
        let shape = try shapesAtSomeSize()[node]
        let prefix = Graph(
            name: name, nodes: Array(nodes[...node]), output: node, features: node,
            logits: logits == node ? node : nil, naming: naming)
        // Tokens have no map to be taken for: their number is that of the size this graph is for.
        let entry: Op =
            shape.rank == 3
            ? .input(
                OpenType(
                    element: .f32,
                    sizes: [.unknown("batch")] + shape.dimensions.dropFirst().map { .number($0) }))
            : .input(channels: shape[1])
        var rest = [Node(name: cut.name, op: entry, inputs: [])]
        if shape.rank == 2 {
            rest.append(
                Node(name: cut.name + "_vector", op: .flatten(channelsLast: false), inputs: [0]))
        }
        let value = rest.count - 1
        func moved(_ index: Int) -> Int { index <= node ? value : index - node + value }
        for var later in nodes[(node + 1)...] {
            later.renumberInputs(moved)
            rest.append(later)
        }
        let suffix = Graph(
            name: name, nodes: rest, output: moved(output), features: moved(features),
            logits: logits.flatMap { $0 < node ? nil : moved($0) }, naming: naming)
        return (prefix, suffix)
    }

    /// The network up to its features, with a new classifier called `head`: a dropout if `dropout`
    /// is above 0, and a linear layer of `classes` outputs, both of the stage `head`. With
    /// `hidden`, a linear layer of that many units and ReLU come first.
    public func withHead(classes: Int, hidden: Int? = nil, dropout: Float = 0)
        throws(NetworkError) -> Graph
    {
        let shapes = try shapesAtSomeSize()
        guard shapes[features].rank == 2, classes > 0 else {
            throw .invalidNode(
                nodes[features].name,
                reason: "no head of \(classes) classes fits its output \(shapes[features])")
        }
        var graph = self
        graph.outputs = []
        graph.nodes = Array(nodes[...features])
        graph.nodes = try graph.reachable(from: features)
        let end = graph.nodes.count - 1
        graph.features = end
        var x = end
        var width = shapes[features][1]
        func append(_ name: String, outputs: Int) {
            graph.nodes.append(
                Node(
                    name: name, op: .linear(outputs: outputs, bias: true), inputs: [x],
                    parameters: [
                        Parameter(
                            name: naming.parameter(.matrix, of: name), shape: [outputs, width],
                            role: .matrix),
                        Parameter(
                            name: naming.parameter(.bias, of: name), shape: [outputs], role: .bias),
                    ], stage: "head"))
        }
        if let hidden {
            append("head_hidden", outputs: hidden)
            graph.nodes.append(
                Node(
                    name: "head_relu", op: .activation(.relu), inputs: [x + 1], stage: "head"))
            x += 2
            width = hidden
        }
        if dropout > 0 {
            graph.nodes.append(
                Node(
                    name: "head_dropout", op: .dropout(rate: dropout), inputs: [x], stage: "head"))
            x += 1
        }
        append("head", outputs: classes)
        graph.output = x + 1
        graph.logits = x + 1
        return graph
    }

    /// The network up to its features, with a head that ends in vectors of length 1: that of
    /// ``withHead(classes:hidden:dropout:)``, and a normalisation called `embedding`.
    public func withEmbedding(size: Int, hidden: Int? = nil, dropout: Float = 0)
        throws(NetworkError) -> Graph
    {
        var graph = try withHead(classes: size, hidden: hidden, dropout: dropout)
        graph.nodes.append(
            Node(name: "embedding", op: .unitNorm, inputs: [graph.output], stage: "head"))
        graph.output = graph.nodes.count - 1
        graph.logits = nil
        return graph
    }

    /// The network up to its features: the classifier is gone, the output is the embedding.
    public func withoutHead() throws(NetworkError) -> Graph {
        var graph = self
        graph.outputs = []
        graph.nodes = try reachable(from: features)
        graph.output = graph.nodes.count - 1
        graph.features = graph.output
        graph.logits = nil
        return graph
    }

    /// The nodes that `node` needs, renumbered; `node` becomes the last.
    private func reachable(from node: Int) throws(NetworkError) -> [Node] {
        var needed: Set<Int> = [0, node]
        for index in stride(from: node, through: 0, by: -1) where needed.contains(index) {
            needed.formUnion(nodes[index].inputs)
        }
        var place: [Int: Int] = [:]
        var kept: [Node] = []
        for index in needed.sorted() {
            place[index] = kept.count
            var copy = nodes[index]
            copy.renumberInputs { place[$0] ?? 0 }
            kept.append(copy)
        }
        return kept
    }
}
