// From a graph to the steps of inference: which nodes one primitive computes together, and where values lie.

import CDNNL
import GraftNetworks
import GraftTensors

/// Turns nodes into steps, several at once where one primitive can do their work.
struct Fusion {
    let compiler: Compiler
    let keep: Set<Int>
    /// Who looks at the values that products read and write.
    private let observer: Magnitudes?
    private var observed: Set<Int> = []
    /// The value of each node that has one, in f32 or in eight bits; fused nodes have none.
    private var values: [Int: Memory] = [:]
    /// The same in the other of the two, where somebody wanted it.
    private var others: [Int: Memory] = [:]
    /// Zero padding that a node's consumer is to do itself.
    private var padded: [Int: Padding] = [:]
    private var consumers: [[Int]]
    private var done: Set<Int> = []
    private let needed: Set<Int>
    private let homes: Homes
    /// The memory of the concatenations that are begun.
    private var wholes: [Int: Memory] = [:]

    private var graph: Graph { compiler.graph }
    private var shapes: [Shape] { compiler.shapes }

    init(_ compiler: Compiler, keep: Set<Int>, observer: Magnitudes? = nil) {
        self.compiler = compiler
        self.keep = keep
        self.observer = observer
        let nodes = compiler.graph.nodes
        var needed = keep
        for index in nodes.indices.reversed() where needed.contains(index) {
            needed.formUnion(nodes[index].inputs)
        }
        self.needed = needed
        homes = Homes(compiler.graph, compiler.shapes, needed: needed)
        consumers = [[Int]](repeating: [], count: nodes.count)
        for (index, node) in nodes.enumerated() where needed.contains(index) {
            for input in node.inputs { consumers[input].append(index) }
        }
    }

    /// The value of a node as it lies, in f32 or in eight bits.
    private func stored(_ node: Int) throws -> Memory {
        guard let value = values[node] else {
            throw ExecutionError.unsupported(
                layer: graph.nodes[node].name, reason: "its value was fused away")
        }
        return value
    }

    /// The value of a node in f32.
    mutating func value(of node: Int) throws -> Memory {
        let value = try stored(node)
        guard value.quantum != nil else { return value }
        if let real = others[node] { return real }
        let real = try compiler.real(value, shape(of: node))
        others[node] = real
        return real
    }

    /// What a node's value is multiples of in eight bits, if that is known.
    private func quantum(of node: Int) -> Quantum? {
        values[node]?.quantum ?? compiler.quantum(of: graph.nodes[node])
    }

    /// The value of a node in eight bits.
    private mutating func quantized(_ node: Int, _ quantum: Quantum) throws -> Memory {
        let value = try stored(node)
        guard value.quantum == nil else { return value }
        if let quantized = others[node] { return quantized }
        let quantized = try compiler.quantized(value, shape(of: node), quantum)
        others[node] = quantized
        return quantized
    }

    /// Whether a node's value is to be in eight bits: some product reads it. The sums of linear
    /// bottlenecks stay in f32: they are small, few of their numbers are large, and what is lost in one
    /// is in all that follow.
    private func isReadInEightBits(_ index: Int) -> Bool {
        guard !keep.contains(index), let quantum = compiler.quantum(of: graph.nodes[index]),
            !quantum.isSigned || !consumers[index].contains(where: { graph.nodes[$0].op.isSum })
        else { return false }
        return consumers[index].contains { consumer in
            switch graph.nodes[consumer].op {
            case .conv2d, .linear: true
            case .pad: consumers[consumer].contains { graph.nodes[$0].op.isProduct }
            case .maxPool: isReadInEightBits(consumer)
            default: false
            }
        }
    }

    /// Shows a value to who looks at them.
    private mutating func observe(_ node: Int) throws {
        guard let observer, observed.insert(node).inserted else { return }
        try compiler.observe(
            try value(of: node), shape(of: node), as: graph.nodes[node].name, observer)
    }

    /// Compiles every needed node; the memory that takes the input.
    mutating func compile() throws -> Memory {
        let input = try compiler.memory(.plain(shapes[0].dimensions))
        // The caller writes it before the first step.
        compiler.arena.use(input.buffer, at: -1)
        values[0] = input
        done.insert(0)
        for index in graph.nodes.indices where needed.contains(index) && !done.contains(index) {
            try compile(index)
            release()
        }
        return input
    }

    /// Forgets the values that only finished nodes refer to.
    private mutating func release() {
        values = values.filter { index, _ in
            keep.contains(index) || index == 0
                || consumers[index].contains { !done.contains($0) }
        }
        others = others.filter { values[$0.key] != nil }
        wholes = wholes.filter { !done.contains($0.key) }
    }

    /// The shape of a node's value, without the padding that its consumer does.
    private func shape(of node: Int) -> Shape {
        shapes[padded[node] == nil ? node : graph.nodes[node].inputs[0]]
    }

    /// The shape of a node's first input before the padding that the node does itself.
    private func shape(into node: Node) -> Shape { shape(of: node.inputs[0]) }

    /// The only consumer of a node, if nobody else wants its value.
    private func only(_ index: Int) -> Int? {
        guard consumers[index].count == 1, !keep.contains(index) else { return nil }
        return consumers[index][0]
    }

    private mutating func compile(_ index: Int) throws {
        let node = graph.nodes[index]
        done.insert(index)
        switch node.op {
        case .input: break
        case .conv2d, .linear: try product(index)
        case .convTranspose2d:
            values[index] = try compiler.transposedProduct(
                node, try value(of: node.inputs[0]), shapes[node.inputs[0]], shapes[index])
        case .dropout, .dropPath: values[index] = try stored(node.inputs[0])
        case .pad(let op):
            if canMerge(op.padding, op.value, into: only(index), from: node.inputs[0]) {
                padded[index] = op.padding
                values[index] = try stored(node.inputs[0])
            } else {
                values[index] = try compiler.plainLoop(
                    node, [try value(of: node.inputs[0])], shapes, index)
            }
        case .activation(let op):
            values[index] = try compiler.activate(node, try value(of: node.inputs[0]), op.function)
        case .batchNorm:
            // An activation after it that only cuts costs nothing.
            var activation: Activation?
            var last = index
            if let next = only(index), case .activation(let cut) = graph.nodes[next].op,
                cut.function.bounds != nil
            {
                activation = cut.function
                last = next
                done.insert(next)
            }
            values[last] = try compiler.batchNorm(
                node, try value(of: node.inputs[0]), shapes[index], activation: activation)
        case .adaptiveAveragePool where !compiler.dividesEvenly(node, shapes[node.inputs[0]]):
            values[index] = try compiler.plainLoop(
                node, [try value(of: node.inputs[0])], shapes, index)
        case .maxPool, .averagePool, .globalAveragePool, .globalMaxPool, .adaptiveAveragePool:
            // The largest of 8-bit numbers is one of them.
            let source =
                node.op.isPlainMaxPool
                ? try stored(node.inputs[0]) : try value(of: node.inputs[0])
            values[index] = try compiler.pool(
                node, source, shape(into: node), shapes[index],
                extra: padded[node.inputs[0]] ?? .zero, training: false
            ).output
        case .add, .multiply:
            let sources = try node.inputs.map { try value(of: $0) }
            values[index] = try compiler.combine(
                node, sources, node.inputs.map { shapes[$0] }, shapes[index],
                free: zip(node.inputs, sources).map { isFree($0, $1) })
        case .flatten(let op):
            values[index] = try compiler.flatten(
                try value(of: node.inputs[0]), shapes[node.inputs[0]], shapes[index],
                channelsLast: op.channelsLast)
        case .softmax:
            values[index] = try compiler.softmax(node, try value(of: node.inputs[0]), shapes[index])
        case .layerNorm(let op):
            values[index] = try compiler.layerNorm(
                node, try value(of: node.inputs[0]), shapes[index], op.epsilon)
        case .concatenate: try join(index)
        case .slice(let op):
            values[index] = try compiler.cut(
                try value(of: node.inputs[0]), shapes[node.inputs[0]], start: op.start,
                shapes[index])
        case .channelShuffle(let op):
            values[index] = try compiler.shuffled(
                try value(of: node.inputs[0]), shapes[index], groups: op.groups)
        case .reshape, .upsample, .affine, .channelScale, .unitNorm:
            values[index] = try compiler.plainLoop(
                node, try node.inputs.map { try value(of: $0) }, shapes, index)
        }
    }

    /// Whether the consumer can pad by itself: a convolution pads with zeros; a max pool pads with
    /// −∞, which is the same over values that a ReLU made.
    private func canMerge(_ padding: Padding, _ fill: Float, into consumer: Int?, from input: Int)
        -> Bool
    {
        guard fill == 0, let consumer, padding.top >= 0, padding.left >= 0, padding.bottom >= 0,
            padding.right >= 0
        else { return false }
        switch graph.nodes[consumer].op {
        case .conv2d: return true
        case .maxPool(let op):
            guard case .activation(let before) = graph.nodes[input].op,
                case .explicit = op.window.padding
            else { return false }
            return before.function == .relu || before.function == .relu6
        default: return false
        }
    }

    /// A convolution or a linear layer with the BatchNorm, the sum and the activation after it.
    private mutating func product(_ index: Int) throws {
        let node = graph.nodes[index]
        let inputShape = shape(into: node)
        var last = index
        var norm: (node: Node, epsilon: Float)?
        if let next = only(last), case .batchNorm(let fused) = graph.nodes[next].op {
            norm = (graph.nodes[next], fused.epsilon)
            last = next
        }
        let weights = ProductWeights(compiler, node, norm: norm)
        // What drops only while learning stands in nobody's way.
        while let next = only(last), graph.nodes[next].op.dropsInTraining { last = next }
        // What is added, and whether its memory may become the sum's: nobody reads it any more, this
        // product included.
        var addend: (node: Int, isFree: Bool)?
        if let next = only(last), case .add = graph.nodes[next].op {
            let inputs = graph.nodes[next].inputs
            let others = inputs.filter { $0 != last }
            if inputs.count == 2, others.count == 1, done.contains(others[0]),
                let other = values[others[0]], shapes[others[0]] == shapes[last]
            {
                last = next
                done.insert(next)
                let isFree = isFree(others[0], other) && others[0] != node.inputs[0]
                addend = (others[0], isFree)
            }
        }
        var activation: Activation?
        if let next = only(last), case .activation(let fused) = graph.nodes[next].op,
            fused.function.algorithms.count == 1
        {
            activation = fused.function
            last = next
        }
        for fused in [index, last] { done.insert(fused) }
        markDone(from: index, to: last)
        if let product = try quantizedProduct(
            index, to: last, weights, addend: addend?.node, activation)
        {
            var sum: Memory?
            if let addend {
                if let quantum = product.addend {
                    sum = try quantized(addend.node, quantum)
                } else {
                    sum = try value(of: addend.node)
                }
                if let value = sum, !addend.isFree { sum = try compiler.copied(value) }
            }
            guard let quantum = quantum(of: node.inputs[0]) else { return }
            values[last] = try compiler.append(
                product, node, try quantized(node.inputs[0], quantum), shapes[index],
                weights: weights, sum: sum)
            return
        }
        let source = try value(of: node.inputs[0])
        var sum = try addend.map { try value(of: $0.node) }
        if let value = sum, addend?.isFree == false { sum = try compiler.copied(value) }
        try observe(node.inputs[0])
        values[last] = try compiler.product(
            node, source, inputShape, shapes[index],
            weights: weights, sum: sum, activation: activation,
            extra: padded[node.inputs[0]] ?? .zero,
            home: try homes[last].flatMap { try part(last, of: $0.root, from: $0.start) })
        try observe(last)
    }

    /// The product that ends in `last` in eight bits, where that is asked for and can be.
    private func quantizedProduct(
        _ index: Int, to last: Int, _ weights: ProductWeights, addend: Int?,
        _ activation: Activation?
    ) throws -> QuantizedProduct? {
        let node = graph.nodes[index]
        // The picture itself stays as it is: it has few channels and needs all its levels.
        guard compiler.options.usesInt8, values[node.inputs[0]]?.buffer !== values[0]?.buffer,
            let source = quantum(of: node.inputs[0])
        else { return nil }
        // A sum is told in eight bits where what is added can be too.
        let added = addend.flatMap { quantum(of: $0) }
        let isTold = isReadInEightBits(last) && (addend == nil || added != nil)
        return try compiler.quantizedProduct(
            node, source: source, shape(into: node), shapes[index], weights: weights,
            target: isTold ? compiler.quantum(of: graph.nodes[last]) : nil, sum: addend != nil,
            addend: isTold ? added : nil, activation: activation,
            extra: padded[node.inputs[0]] ?? .zero)
    }

    /// `node`'s channels from `start` on in the memory of a concatenation; nil before its first part
    /// is there and has said how it lies.
    private func part(_ node: Int, of root: Int, from start: Int) throws -> Memory? {
        guard let whole = wholes[root], let order = whole.layout?.order else { return nil }
        guard shapes[node][1] != shapes[root][1] else { return whole }
        return try Memory(
            MapLayout(shapes[node], order, within: shapes[root][1], from: start), whole.buffer,
            compiler.engine)
    }

    /// A concatenation: what is not in its place yet is brought there.
    private mutating func join(_ index: Int) throws {
        let node = graph.nodes[index]
        guard let home = homes[index], let first = node.inputs.first else { return }
        if wholes[home.root] == nil {
            let order = try compiler.order(
                for: try value(of: first), shapes[first], cuts: homes.cuts[home.root] ?? [])
            wholes[home.root] = try compiler.memory(MapLayout(shapes[home.root], order))
        }
        var start = home.start
        for input in node.inputs {
            let source = try value(of: input)
            guard let place = try part(input, of: home.root, from: start) else { return }
            if source.buffer !== place.buffer || source.layout != place.layout {
                try compiler.move(source, shapes[input], into: place, as: node.name)
                // From now on it is read from there, if that is where it belongs for good.
                if homes[input] == Homes.Place(root: home.root, start: start) {
                    values[input] = place
                }
            }
            start += shapes[input][1]
        }
        values[index] = try part(index, of: home.root, from: home.start)
    }

    /// Whether a value may be overwritten: nobody reads it any more, under this name or another.
    private func isFree(_ node: Int, _ value: Memory) -> Bool {
        !keep.contains(node) && node != 0 && !consumers[node].contains { !done.contains($0) }
            && !values.contains { $0.key != node && $0.value.buffer === value.buffer }
    }

    private mutating func markDone(from index: Int, to last: Int) {
        var at = index
        while at != last, let next = consumers[at].first {
            done.insert(next)
            at = next
        }
    }
}

extension Op {
    /// Whether it multiplies by a kernel.
    fileprivate var isProduct: Bool {
        switch self {
        case .conv2d, .linear: true
        default: false
        }
    }

    /// Whether it does nothing but while learning.
    fileprivate var dropsInTraining: Bool {
        switch self {
        case .dropout, .dropPath: true
        default: false
        }
    }

    fileprivate var isSum: Bool { if case .add = self { true } else { false } }

    /// Whether it is a maximum that pads with nothing.
    fileprivate var isPlainMaxPool: Bool {
        guard case .maxPool(let pool) = self else { return false }
        if case .zeroSame = pool.window.padding { return false }
        return true
    }
}
