// What the rows of TFLite operators are made of: operands in one order of axes, and what ends a step.

internal import GraftSchemas
import GraftTensors

/// Operands in one order of axes.
struct TFLiteOperands {
    let names: [String]
    /// Whether maps have their channels first.
    let isFirst: Bool

    var x: String { names.first ?? "" }
    /// The place of an axis of the file in this order.
    func place(_ axis: Int) -> Int { isFirst ? TFLiteReader.places[axis] : axis }
    /// A value for each axis of the file, as this order has them.
    func ordered<T>(_ values: [T]) -> [T] {
        isFirst ? TFLiteReader.order.map { values[$0] } : values
    }
}

extension TFLiteReader {
    /// The values that a step reads, all with their channels first where one has them so.
    mutating func operands(
        _ call: TFLiteCall, at indices: [Int]? = nil
    ) throws -> TFLiteOperands {
        let tensors = try (indices ?? Array(call.step.inputs.indices)).map { try call.input($0) }
        let rank = tensors.map { model.tensors[$0].shape.count }.max() ?? 0
        let isFirst =
            rank == 4 && tensors.contains(where: isFirst)
            && tensors.allSatisfy { model.tensors[$0].shape.count == 4 || isConstant($0) }
        let names = try tensors.map { tensor in
            guard isFirst else { return try plain(tensor, for: call) }
            guard isConstant(tensor), model.tensors[tensor].shape.count < 4 else {
                return try first(tensor, for: call)
            }
            return try weight(tensor, order: Self.order, for: call)
        }
        return TFLiteOperands(names: names, isFirst: isFirst)
    }

    /// Ends a step with the activation that is fused into it, and gives its value. What is kept as
    /// integers stays within them, unless the step only moves or chooses values.
    mutating func finish(
        _ x: String, isFirst: Bool, output index: Int = 0, movesOnly: Bool = false,
        for call: TFLiteCall
    ) throws {
        let tensor = try call.output(index)
        var x = x
        var bounds = try call.bounds()
        if !movesOnly, let range = range(of: tensor) {
            let own = bounds ?? -Float.infinity...Float.infinity
            let low = max(own.lowerBound, range.lowerBound)
            bounds = low...max(low, min(own.upperBound, range.upperBound))
        }
        if let bounds { x = draft.clip(x, to: bounds, name: call.name + ".activation") }
        if call.endsWithTanh {
            x = draft.emit("Tanh", name: call.name + ".activation", inputs: [x])
        }
        if isFirst { set(tensor, first: x) } else { set(tensor, plain: x) }
    }

    /// Adds an operator that works in either order of axes.
    mutating func elementwise(
        _ type: String, of call: TFLiteCall, attributes: ONNXGraph.Attributes = [:],
        at indices: [Int]? = nil, movesOnly: Bool = false
    ) throws {
        let operands = try operands(call, at: indices)
        let x = draft.emit(
            type, name: call.name, inputs: operands.names, attributes: attributes)
        try finish(x, isFirst: operands.isFirst, movesOnly: movesOnly, for: call)
    }

    /// Adds a step that keeps its operand's elements in their order, under the sizes of its value.
    mutating func reshape(_ call: TFLiteCall) throws {
        let source = try call.input()
        let (before, after) = (try call.shape(ofInput: 0), try call.shape(ofOutput: 0))
        let target = try call.output()
        guard Shape(before).checkedCount == Shape(after).checkedCount else {
            throw call.fail(.sizes(after, of: before))
        }
        if before == after || isConstant(source) && after.isEmpty {
            return alias(target, of: source)
        }
        /// Whether a map's elements are in the same order with its channels first.
        func isEither(_ shape: [Int]) -> Bool {
            shape.count == 4 && (shape[1] * shape[2] == 1 || shape[3] == 1)
        }
        let x =
            try isFirst(source) && isEither(before)
            ? first(source, for: call) : plain(source, for: call)
        let becomesFirst = isEither(after)
        var sizes = becomesFirst ? Self.order.map { after[$0] } : after
        // The batch stays open.
        if let lead = before.first, sizes.first == lead, before.count > 1 { sizes[0] = 0 }
        let name = call.name
        let shape = draft.constant(sizes, name: name + ".shape")
        let y = draft.emit("Reshape", name: name, inputs: [x, shape])
        if becomesFirst { set(target, first: y) } else { set(target, plain: y) }
    }

    /// Adds a cut of an operand along the axes of the file.
    mutating func slice(
        _ operands: TFLiteOperands, from start: [Int], to end: [Int], by step: [Int], name: String
    ) -> String {
        let axes = start.indices.filter { start[$0] != 0 || end[$0] != .max || step[$0] != 1 }
        guard !axes.isEmpty else { return operands.x }
        let inputs = [
            draft.constant(axes.map { start[$0] }, name: name + ".from"),
            draft.constant(axes.map { end[$0] }, name: name + ".to"),
            draft.constant(axes.map { operands.place($0) }, name: name + ".axes"),
            draft.constant(axes.map { step[$0] }, name: name + ".step"),
        ]
        return draft.emit("Slice", name: name, inputs: [operands.x] + inputs)
    }
}
