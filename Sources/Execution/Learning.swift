// What learns in a plan: weights with their gradients, statistics that move, and what a step is told.

import GraftNetworks
import GraftTensors

/// The state of a training plan that its steps read and write.
final class Learning {
    /// A parameter that learns: its numbers and their gradient, row-major.
    struct Slot {
        let value: Memory
        let gradient: Memory
    }

    let slots: [String: Slot]
    /// The running statistics that may move.
    let moving: MovingStatistics?
    /// The processes whose batches they are of, if others' too.
    let joint: JointBatch?
    /// Whether a gradient flows to each node's value.
    let learns: [Bool]
    /// Nil leaves dropout off.
    var dropoutSeed: UInt64?
    /// Whether statistics move in this step, and those that do not yet.
    var movesStatistics = false
    var heldStatistics: Set<String> = []

    init(
        _ compiler: Compiler, trainable: Set<String>, moving: MovingStatistics?, joint: JointBatch?
    ) throws {
        self.moving = moving
        self.joint = joint
        var slots: [String: Slot] = [:]
        var learns: [Bool] = []
        for node in compiler.graph.nodes {
            let own = node.parameters.filter {
                trainable.contains(compiler.shared.origin(of: $0.name)) && !$0.isBuffer
            }
            learns.append(!own.isEmpty || node.inputs.contains { learns[$0] })
            for parameter in own {
                let dims = node.op.executable.dims(of: parameter)
                let origin = compiler.shared.origin(of: parameter.name)
                func zeros() throws -> Memory {
                    try compiler.constant(
                        [Float](repeating: 0, count: parameter.shape.count), dims: dims)
                }
                let value =
                    try slots[origin]?.value
                    ?? compiler.constant(try compiler.weight(parameter), dims: dims)
                if slots[origin] == nil {
                    slots[origin] = Slot(value: value, gradient: try zeros())
                }
                if origin != parameter.name {
                    slots[parameter.name] = Slot(value: value, gradient: try zeros())
                }
            }
            for parameter in node.parameters where moving?.names.contains(parameter.name) == true {
                // A statistic has no gradient.
                let value = try compiler.constant(
                    try compiler.weight(parameter), dims: parameter.shape.dimensions)
                slots[parameter.name] = Slot(value: value, gradient: value)
            }
        }
        self.slots = slots
        self.learns = learns
    }

    /// The memory of a parameter's gradient, if it learns.
    func gradient(of parameter: Parameter?) -> Memory? {
        parameter.flatMap { slots[$0.name]?.gradient }
    }

    /// Whether a layer normalises by its batch when it learns.
    func movesStatistics(of site: NodeSite) -> Bool {
        guard let moving, let mean = site.parameter(.runningMean),
            let variance = site.parameter(.runningVariance)
        else { return false }
        return moving.names.contains(mean.name) && moving.names.contains(variance.name)
    }
}
