// A graph that was traced with one sample, as a graph for any number of them.

package import GraftTensors

extension Graph {
    /// This graph, which holds for a batch of one, for any batch.
    ///
    /// Exporters write the sizes of one sample into the file. The batch is followed from the input
    /// through every operation: a view leaves its axis open, and a weight that is joined with values of
    /// samples is repeated for each. A value's batch is the outermost part of one of its axes.
    ///
    /// - Throws: ``NetworkError/invalidNode(_:reason:)`` that names the node at which the batch is lost.
    package func forAnyBatch(input: Shape) throws(NetworkError) -> Graph {
        let shapes = try shapes(input: input)
        guard input.rank > 0, input[0] == 1 else {
            throw .invalidGraph("expected a batch of one, found \(input)")
        }
        var tracer = BatchTracer(shapes: shapes)
        for node in nodes { try tracer.add(node) }
        var result = self
        result.nodes = tracer.nodes
        result.output = tracer.places[output]
        result.features = tracer.places[features]
        result.logits = logits.map { tracer.places[$0] }
        for index in outputs.indices {
            result.outputs[index].value.node = tracer.places[outputs[index].value.node]
        }
        try result.checkBatch(input: input, against: shapes, axes: tracer, of: self)
        return result
    }

    /// Whether two samples give values twice as large, where they depend on samples.
    private func checkBatch(
        input: Shape, against single: [Shape], axes: BatchTracer, of origin: Graph
    ) throws(NetworkError) {
        var two = input
        two[0] = 2
        let doubled = try shapes(input: two)
        for (index, node) in origin.nodes.enumerated() {
            let place = axes.places[index]
            var expected = single[index]
            if let axis = axes.axes[index] { expected[axis] *= 2 }
            guard doubled[place] == expected else {
                throw .invalidNode(
                    node.name,
                    reason:
                        "its batch of one is fixed: two samples give \(doubled[place]), expected "
                        + "\(expected)")
            }
        }
    }
}

/// Follows the batch through the nodes of a graph.
private struct BatchTracer {
    /// The shape of each original node's value for one sample.
    let shapes: [Shape]
    /// The nodes of the new graph.
    var nodes: [Node] = []
    /// Where each original node is in it.
    var places: [Int] = []
    /// The axis of each original node's value whose outermost part are the samples; nil for weights.
    var axes: [Int?] = []
    /// The nodes of the new graph that repeat weights for the node under way, by their input's position.
    private var repeated: [Int: Int] = [:]

    init(shapes: [Shape]) { self.shapes = shapes }

    mutating func add(_ node: Node) throws(NetworkError) {
        var node = node
        let axis: Int?
        repeated = [:]
        do {
            axis = try self.axis(of: &node, at: places.count)
        } catch {
            throw .invalidNode(node.name, reason: "its batch of one is fixed: \(error.explanation)")
        }
        node.reads = node.reads.enumerated().map { position, value in
            repeated[position].map { ValueID($0) }
                ?? ValueID(places[value.node], output: value.output)
        }
        places.append(nodes.count)
        nodes.append(node)
        axes.append(axis)
    }

    /// Where the batch is lost.
    private enum Loss: Error {
        /// The operation reads along the batch.
        case along(axis: Int)
        /// Two values have it at different axes.
        case apart(Int, Int)
        /// No axis of the new sizes begins where the samples do.
        case hidden(sizes: [Int], before: Shape)

        var explanation: String {
            switch self {
            case .along(let axis): "it computes along axis \(axis), which is the batch"
            case .apart(let a, let b): "its values have the batch at axes \(a) and \(b)"
            case .hidden(let sizes, let before):
                "no axis of the sizes \(sizes) begins where the batch of \(before) does"
            }
        }
    }

    /// The batch axis of a node's value; the node is changed so that it holds for any batch.
    private mutating func axis(of node: inout Node, at index: Int) throws(Loss) -> Int? {
        let shape = shapes[index]
        let own = node.inputs.first.flatMap { axes[$0] }
        func alone(_ forbidden: [Int]) throws(Loss) -> Int? {
            if let own, forbidden.contains(own) { throw .along(axis: own) }
            return own
        }
        switch node.op {
        case .input: return 0
        case .parameter: return nil
        case .cast: return own
        case .split(let op): return try alone([op.axis])
        case .topK(let op): return try alone([op.axis])
        case .argExtreme(let op):
            guard let own = try alone([op.axis]) else { return nil }
            return op.keepsAxis || op.axis > own ? own : own - 1
        case .gather(let op): return try gathered(op, node.inputs)
        case .conv2d, .convTranspose2d, .maxPool, .averagePool, .globalAveragePool, .globalMaxPool,
            .adaptiveAveragePool, .flatten, .reshape, .pad, .upsample, .channelShuffle, .groupNorm,
            .localResponseNorm, .resize, .batchNorm, .affine, .channelScale, .unitNorm:
            guard own == nil || own == 0 else { throw .along(axis: own ?? 0) }
            return own
        case .activation, .elementwise, .dropout, .dropPath: return own
        case .linear: return try alone([shape.rank - 1])
        case .layerNorm(let op): return try alone(op.axes)
        case .softmax(let op): return try alone([op.axis])
        case .slice(let op): return try alone([op.axis])
        case .take(let op): return try alone([op.axis])
        case .cumulate(let op): return try alone([op.axis])
        case .gatherElements(let op): return try together(node.inputs, but: op.axis)
        case .scatterElements(let op): return try together(node.inputs, but: op.axis)
        case .gatherND(let op):
            guard op.batch > 0 else { throw .along(axis: 0) }
            return try together(node.inputs, but: nil)
        case .gridSample: return try together(node.inputs, but: nil)
        case .scatterND, .roiAlign: throw .along(axis: 0)
        case .poolAxes: return try alone(Array(2..<max(shape.rank, 2)))
        case .padAxes(let op):
            return try alone(
                op.before.indices.filter { op.before[$0] != 0 || op.after[$0] != 0 })
        case .reduce(let op):
            guard let own = try alone(op.axes) else { return nil }
            return op.keepsAxes ? own : own - op.axes.count { $0 < own }
        case .transpose(let op): return own.flatMap { op.order.firstIndex(of: $0) }
        case .view(let op):
            guard let own else { return nil }
            let before = shapes[node.inputs[0]]
            let lead = before.dimensions[..<own].reduce(1, *)
            var prefix = 1
            for axis in shape.dimensions.indices {
                if prefix == lead {
                    var sizes = shape.dimensions
                    sizes[axis] = -1
                    node.op = .view(sizes)
                    return axis
                }
                prefix *= shape[axis]
            }
            throw .hidden(sizes: op.sizes, before: before)
        case .expand(let op):
            guard let own else { return op.sizes.firstIndex(of: Op.Expand.batch) }
            let lead = shape.rank - shapes[node.inputs[0]].rank
            var sizes = shape.dimensions
            sizes[own + lead] = -1
            node.op = .expand(sizes)
            return own + lead
        case .add, .multiply, .binary, .compare, .where:
            return try aligned(node.inputs, rank: shape.rank)
        case .attention:
            let found = node.inputs.compactMap { axes[$0] }
            if let other = found.first(where: { $0 != 0 }) { throw .along(axis: other) }
            return found.first
        case .matMul(let op): return try product(op, node.inputs, rank: shape.rank)
        case .concatenate(let op):
            let axis = try aligned(node.inputs, rank: shape.rank)
            guard let axis else { return nil }
            if axis == op.axis { throw .along(axis: axis) }
            try repeatWeights(of: node, along: axis)
            return axis
        }
    }

    /// A table of weights at the indices of samples, or samples at indices that are the same for all.
    private func gathered(_ op: Op.Gather, _ inputs: [Int]) throws(Loss) -> Int? {
        switch (axes[inputs[0]], axes[inputs[1]]) {
        case (nil, nil): return nil
        case (nil, let indices?): return op.axis + indices
        case (let table?, nil):
            if table == op.axis { throw .along(axis: table) }
            return table < op.axis ? table : table + shapes[inputs[1]].rank - 1
        case (let table?, let indices?): throw .apart(table, indices)
        }
    }

    /// The axis of the batch of values that are all of samples, and which is not `axis`.
    private func together(_ inputs: [Int], but axis: Int?) throws(Loss) -> Int? {
        let places = Set(inputs.map { axes[$0] })
        guard places.count == 1, let place = places.first else { throw .along(axis: 0) }
        if let place, place == axis { throw .along(axis: place) }
        return place
    }

    /// The axis at which those of several values meet, aligned at the last.
    private func aligned(_ inputs: [Int], rank: Int) throws(Loss) -> Int? {
        var result: Int?
        for input in inputs {
            guard let axis = axes[input] else { continue }
            let place = axis + rank - shapes[input].rank
            if let result, result != place { throw .apart(result, place) }
            result = place
        }
        return result
    }

    private func product(_ op: Op.MatMul, _ inputs: [Int], rank: Int) throws(Loss) -> Int? {
        var result: Int?
        for (side, input) in inputs.enumerated() {
            guard var axis = axes[input] else { continue }
            let own = shapes[input].rank
            // The axes of rows, columns and what is summed over, before the transposition.
            let isTransposed = side == 0 ? op.transposesLeft : op.transposesRight
            if isTransposed, axis >= own - 2 { axis = axis == own - 1 ? own - 2 : own - 1 }
            let inner = side == 0 ? own - 1 : max(own - 2, 0)
            if axis == inner { throw .along(axis: axis) }
            // A vector on the other side leaves no axis behind.
            let other = shapes[inputs[1 - side]].rank
            var place = axis - own
            if other == 1, side == 0 { place += 1 }
            if other == 1, side == 1, axis < own - 2 { place += 1 }
            if own == 1 { throw .along(axis: axis) }
            let absolute = rank + place
            if let result, result != absolute { throw .apart(result, absolute) }
            result = absolute
        }
        return result
    }

    /// Weights that are joined with values of samples, repeated for each sample.
    private mutating func repeatWeights(of node: Node, along axis: Int) throws(Loss) {
        guard let source = node.inputs.first(where: { axes[$0] == 0 }) else {
            if node.inputs.allSatisfy({ axes[$0] != nil }) { return }
            throw .along(axis: axis)
        }
        for (position, input) in node.inputs.enumerated() where axes[input] == nil {
            guard axis == 0, shapes[input][0] == 1 else { throw .along(axis: axis) }
            var sizes = [Int](repeating: -1, count: shapes[input].rank)
            sizes[0] = Op.Expand.batch
            let name = "\(node.name).batch\(position)"
            nodes.append(
                Node(
                    name: name, op: .expand(sizes), inputs: [places[input], places[source]],
                    stage: node.stage))
            repeated[position] = nodes.count - 1
        }
    }
}
