// From groups to steps: each group is compiled by its rule, and its value kept while somebody reads it.

import CDNNL
import GraftNetworks
import GraftTensors

/// Compiles the groups of a network in order: inference, or the forward half of learning.
final class ForwardPass {
    let compiler: Compiler
    /// The weights that learn; nil in inference.
    let learning: Learning?
    let plan: GroupPlan
    /// The memory that the caller writes the inputs to.
    let inputs: [Memory]
    /// The groups that backward passes, in order; none in inference.
    private(set) var compiled: [any CompiledGroup] = []
    private let outputs: Set<Int>
    /// The observer of the values that products read and write.
    private let observer: Magnitudes?
    private var observed: Set<ValueID> = []
    /// The value of each node that has one, in f32 or in eight bits; inner nodes of groups have none.
    private var values: [ValueID: Memory]
    /// The same in the other of the two, where it was wanted.
    private var others: [ValueID: Memory] = [:]
    /// The memory of the concatenations that are begun.
    private var wholes: [Int: Memory] = [:]
    private var done: Set<Int>
    /// While learning, the nodes whose values backward does not read.
    private var disposable: Set<Int> = []

    private var graph: Graph { compiler.graph }
    private var shapes: [Shape] { compiler.shapes }

    init(
        _ compiler: Compiler, outputs: Set<Int>, learning: Learning? = nil,
        observer: Magnitudes? = nil
    ) throws {
        self.compiler = compiler
        self.learning = learning
        self.outputs = outputs
        self.observer = observer
        var purpose = GroupPurpose(outputs: outputs)
        purpose.isLearning = learning != nil
        purpose.moving = learning?.moving?.names ?? []
        purpose.precision = compiler.options.effectivePrecision
        purpose.ranges = compiler.options.ranges
        plan = GroupPlan(compiler.graph, types: compiler.types, for: purpose)
        let count = compiler.graph.inputCount
        inputs = try compiler.shapes[..<count].map { try compiler.memory(.plain($0.dimensions)) }
        done = Set(0..<count)
        values = [:]
        for (index, input) in inputs.enumerated() {
            // The caller writes it before the first step.
            compiler.arena.use(input.buffer, at: -1)
            values[ValueID(index)] = input
        }
        for group in plan.groups {
            try compile(group)
            release()
        }
    }

    // MARK: What rules ask

    /// The value of a node as it lies, in f32 or in eight bits.
    func stored(_ node: ValueID) -> Memory {
        guard let value = values[node] else {
            preconditionFailure("`\(graph.nodes[node.node].name)` has no value of its own")
        }
        return value
    }

    /// The value of a node in f32.
    func value(of node: ValueID) throws -> Memory {
        let value = stored(node)
        guard value.quantum != nil else { return value }
        if let real = others[node] { return real }
        let real = try compiler.real(value, of: plan.shape(of: node))
        others[node] = real
        return real
    }

    /// The value of a node in eight bits.
    func quantized(_ node: ValueID, to quantum: Quantum) throws -> Memory {
        let value = stored(node)
        guard value.quantum == nil else { return value }
        if let quantized = others[node] { return quantized }
        let quantized = try compiler.quantized(value, of: plan.shape(of: node), to: quantum)
        others[node] = quantized
        return quantized
    }

    /// The scale of a node's value in eight bits, if that is known.
    func quantum(of node: ValueID) -> Quantum? {
        values[node]?.quantum ?? compiler.quantum(of: graph.nodes[node.node])
    }

    /// Whether a node's value is the image as the caller wrote it.
    func isImage(_ node: ValueID) -> Bool { values[node]?.buffer === inputs[0].buffer }

    /// Whether a value may be overwritten: no group is left to read it, under this name or another. While
    /// learning, backward reads what other readers than the one that asks have read.
    func isFree(_ value: ValueID) -> Bool {
        let node = value.node
        // A weight that is a value is read again by the next run.
        guard let memory = values[value], compiler.arena.holds(memory.buffer),
            learning == nil || (disposable.contains(node) && plan.readers[node].count == 1)
        else { return false }
        return !outputs.contains(node) && node >= inputs.count
            && !plan.readers[node].contains { !done.contains($0) }
            && !values.contains { $0.key != value && $0.value.buffer === memory.buffer }
    }

    /// A weight as a step reads it: where it is while it learns, or a constant.
    func weight(_ parameter: Parameter, dims: [Int]? = nil) throws -> Memory {
        try learning?.slots[parameter.name]?.value
            ?? compiler.constant(
                try compiler.weight(parameter), dims: dims ?? parameter.shape.dimensions)
    }

    // MARK: Concatenations

    /// `node`'s channels in the memory of a concatenation; nil before its first part
    /// is there and has said how it lies.
    func part(_ node: Int, at place: Homes.Place) throws -> Memory? {
        guard let whole = wholes[place.root], let order = whole.layout?.order else { return nil }
        guard shapes[node][1] != shapes[place.root][1] else { return whole }
        let layout = MapLayout(
            shapes[node], order, within: shapes[place.root][1], from: place.start)
        return try Memory(layout, in: whole.buffer, of: compiler.engine)
    }

    /// `node`'s channels in the memory of a concatenation that is begun.
    func begunPart(_ node: Int, at place: Homes.Place) throws -> Memory {
        guard let part = try part(node, at: place) else {
            preconditionFailure("`\(graph.nodes[place.root].name)` is not begun")
        }
        return part
    }

    /// Makes the memory of a concatenation, as the first of its parts lies.
    func beginWhole(_ root: Int, like first: ValueID) throws {
        guard wholes[root] == nil else { return }
        let order = try compiler.order(
            for: try value(of: first), of: plan.shape(of: first), cuts: plan.cuts[root] ?? [])
        wholes[root] = try compiler.memory(MapLayout(shapes[root], order))
    }

    /// From now on a node's value is read from its place in a concatenation.
    func move(_ node: ValueID, to place: Memory) { values[node] = place }

    // MARK: The pass

    private func site(_ group: Group) -> NodeSite {
        let node = graph.nodes[group.first]
        let inputs = node.reads + (group.addend.map { [$0] } ?? [])
        return NodeSite(
            index: group.first, name: node.name, parameters: node.parameters, inputs: inputs,
            inputTypes: inputs.map {
                ValueType(plan.shape(of: $0), element: compiler.types[$0.node][$0.output].element)
            },
            outputTypes: compiler.types[group.first], group: group)
    }

    private func compile(_ group: Group) throws {
        done.formUnion(group.nodes)
        let site = site(group)
        let rule = graph.nodes[group.first].op.executable
        let isProduct = if case .product = rule.quantization { true } else { false }
        if isProduct { try observe(site.inputs[0]) }
        try compile(rule, at: site)
        if isProduct { try observe(ValueID(group.last)) }
    }

    private func compile<Rule: ExecutableOp>(_ rule: Rule, at site: NodeSite) throws {
        let outcome = try rule.forward(at: site, in: self)
        for (output, value) in outcome.values.enumerated() {
            values[ValueID(site.group.last, output: output)] = value
        }
        guard learning != nil else { return }
        if !outcome.isReadBackward { disposable.insert(site.group.last) }
        compiled.append(Compiled(rule: rule, site: site, saved: outcome.saved))
    }

    /// Forgets the values that only finished nodes refer to.
    private func release() {
        values = values.filter { index, _ in
            outputs.contains(index.node) || index.node == 0
                || plan.readers[index.node].contains { !done.contains($0) }
        }
        others = others.filter { values[$0.key] != nil }
        wholes = wholes.filter { !done.contains($0.key) }
    }

    /// Shows a value to who looks at them.
    private func observe(_ node: ValueID) throws {
        guard let observer, observed.insert(node).inserted else { return }
        try compiler.observe(
            try value(of: node), of: plan.shape(of: node), as: graph.nodes[node.node].name,
            by: observer)
    }
}
