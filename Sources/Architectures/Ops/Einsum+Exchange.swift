// Sums of products over named axes, as products of matrices.

import GraftNetworks
import GraftTensors

/// `Einsum`.
enum ONNXEinsum {
    /// A value whose axes have names.
    private struct Named {
        var value: ONNXValue
        var axes: [Character]
    }

    static func read(_ node: ONNXNode, in reader: inout ONNXReader) throws -> ONNXValue {
        let equation = (node.text("equation") ?? "").filter { $0 != " " }
        let sides = equation.split(separator: "-", omittingEmptySubsequences: false)
        let flaw = node.fail("graft does not know the equation `\(equation)`")
        guard let left = sides.first, sides.count <= 2, sides.count == 1 || sides[1].hasPrefix(">")
        else { throw flaw }
        let terms = left.split(separator: ",", omittingEmptySubsequences: false)
        guard terms.count == node.inputs.count, !terms.isEmpty else { throw flaw }
        var operands: [Named] = []
        var dots = 0
        for (index, term) in terms.enumerated() {
            let value = try node.value(at: index)
            let rank = try reader.shape(of: value, for: node).rank
            guard let axes = names(String(term), rank: rank) else { throw flaw }
            dots = max(dots, axes.count { $0.isNumber })
            operands.append(
                try unrepeated(
                    Named(value: value, axes: axes), of: node, in: &reader))
        }
        let target: [Character]
        if sides.count == 2 {
            let text = String(sides[1].dropFirst())
            guard let axes = names(text, rank: text.filter(\.isLetter).count + dots) else {
                throw flaw
            }
            target = axes
        } else {
            // The axes that are named once, in the order of the alphabet.
            let all = operands.flatMap(\.axes)
            target = Set(all).filter { name in name.isNumber || all.count { $0 == name } == 1 }
                .sorted()
        }
        guard Set(target).count == target.count else { throw flaw }
        var result = operands.removeFirst()
        while !operands.isEmpty {
            let next = operands.removeFirst()
            let needed = Set(target + operands.flatMap(\.axes))
            result = try product(result, by: next, keeping: needed, node, in: &reader)
        }
        result = try summed(result, keeping: Set(target), node, in: &reader)
        guard Set(result.axes) == Set(target) else { throw flaw }
        let order = target.compactMap { result.axes.firstIndex(of: $0) }
        return order == Array(order.indices)
            ? result.value : try reader.transpose(result.value, by: order, for: node)
    }

    /// The axes of a term; those of an ellipsis are digits, counted from the last.
    private static func names(_ term: String, rank: Int) -> [Character]? {
        let parts = term.components(ellipsis: "...")
        let letters = parts.reduce(0) { $0 + $1.count }
        guard parts.count <= 2, parts.allSatisfy({ $0.allSatisfy(\.isLetter) }), letters <= rank,
            parts.count == 2 || letters == rank, rank - letters < 10
        else { return nil }
        guard parts.count == 2 else { return Array(parts[0]) }
        let digits = (0..<(rank - letters)).reversed().compactMap { "\($0)".first }
        return Array(parts[0]) + digits + Array(parts[1])
    }

    /// A value whose axes have different names: of equal ones the diagonal.
    private static func unrepeated(
        _ operand: Named, of node: ONNXNode, in reader: inout ONNXReader
    ) throws -> Named {
        var operand = operand
        while let name = operand.axes.first(where: { axis in operand.axes.count { $0 == axis } > 1 }
        ),
            let first = operand.axes.firstIndex(of: name),
            let last = operand.axes.lastIndex(of: name)
        {
            let shape = try reader.shape(of: operand.value, for: node)
            guard shape[first] == shape[last] else { throw node.fail(.unfit(.axis, [shape])) }
            var order = Array(0..<shape.rank)
            order.removeAll { $0 == first || $0 == last }
            let turned = try reader.transpose(operand.value, by: order + [first, last], for: node)
            let size = shape[first]
            let rest = order.map { shape[$0] }
            let flat = try reader.reshape(turned, to: rest + [size * size], for: node)
            operand.value = try reader.slice(
                flat, axis: rest.count, from: 0, to: size * size, step: size + 1, for: node)
            operand.axes = order.map { operand.axes[$0] } + [name]
        }
        return operand
    }

    /// A value without the axes that nothing needs.
    private static func summed(
        _ operand: Named, keeping needed: Set<Character>, _ node: ONNXNode,
        in reader: inout ONNXReader
    ) throws -> Named {
        let places = operand.axes.indices.filter { !needed.contains(operand.axes[$0]) }
        guard !places.isEmpty else { return operand }
        let value = try reader.apply(
            "ReduceSum", to: operand.value, .integers(places), with: ["keepdims": 0], for: node)
        return Named(value: value, axes: operand.axes.filter(needed.contains))
    }

    /// The product of two values, summed over the axes that nothing else needs.
    private static func product(
        _ left: Named, by right: Named, keeping needed: Set<Character>, _ node: ONNXNode,
        in reader: inout ONNXReader
    ) throws -> Named {
        let left = try summed(left, keeping: needed.union(right.axes), node, in: &reader)
        let right = try summed(right, keeping: needed.union(left.axes), node, in: &reader)
        var sizes: [Character: Int] = [:]
        for operand in [left, right] {
            let shape = try reader.shape(of: operand.value, for: node)
            for (name, size) in zip(operand.axes, shape.dimensions) {
                sizes[name] = max(sizes[name] ?? 1, size)
            }
        }
        let shared = left.axes.filter(right.axes.contains)
        let batch = shared.filter(needed.contains)
        let inner = shared.filter { !needed.contains($0) }
        let rows = left.axes.filter { !right.axes.contains($0) }
        let columns = right.axes.filter { !left.axes.contains($0) }
        func count(_ names: [Character]) -> Int { names.reduce(1) { $0 * (sizes[$1] ?? 1) } }
        /// The value with these axes in order, of full size, then under other sizes.
        func ordered(
            _ operand: Named, axes names: [Character], as shape: [Int],
            in reader: inout ONNXReader
        ) throws -> ONNXValue {
            let order = names.compactMap { operand.axes.firstIndex(of: $0) }
            var value = try reader.transpose(operand.value, by: order, for: node)
            let full = names.map { sizes[$0] ?? 1 }
            if try reader.shape(of: value, for: node).dimensions != full {
                value = try reader.apply("Expand", to: value, .integers(full), for: node)
            }
            return try reader.reshape(value, to: shape, for: node)
        }
        let a = try ordered(
            left, axes: batch + rows + inner, as: [count(batch), count(rows), count(inner)],
            in: &reader)
        let b = try ordered(
            right, axes: batch + inner + columns,
            as: [count(batch), count(inner), count(columns)], in: &reader)
        let value = try reader.apply("MatMul", to: a, b, for: node)
        let axes = batch + rows + columns
        return Named(
            value: try reader.reshape(value, to: axes.map { sizes[$0] ?? 1 }, for: node), axes: axes
        )
    }
}

extension String {
    /// The parts before and after an ellipsis.
    fileprivate func components(ellipsis: String) -> [Substring] {
        guard let range = self.firstRange(of: ellipsis) else { return [self[...]] }
        return [self[..<range.lowerBound], self[range.upperBound...]]
    }
}
