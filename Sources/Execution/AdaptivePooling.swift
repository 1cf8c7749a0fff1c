// Means over cells that do not divide the map: PyTorch's AdaptiveAvgPool2d, backward.

import GraftNetworks
import GraftTensors

extension Compiler {
    /// ∂L/∂x of an adaptive pool: each cell gives every element its share; cells may overlap.
    func adaptivePoolBackward(_ node: Node, _ gradient: Memory, _ input: Shape, _ output: Shape)
        throws -> Memory
    {
        let dy = try plain(gradient, output.dimensions)
        let dx = try memory(.plain(input.dimensions))
        append(node.name, "loop", uses: [dy, dx]) {
            let (from, to) = (dy.buffer.floats(output.count), dx.buffer.floats(input.count))
            to.update(repeating: 0)
            let (rows, columns) = (cells(input[2], output[2]), cells(input[3], output[3]))
            for plane in 0..<(input[0] * input[1]) {
                for (i, row) in rows.enumerated() {
                    for (j, column) in columns.enumerated() {
                        let share =
                            from[(plane * output[2] + i) * output[3] + j]
                            / Float(row.count * column.count)
                        for y in row {
                            for x in column { to[(plane * input[2] + y) * input[3] + x] += share }
                        }
                    }
                }
            }
        }
        return dx
    }
}
