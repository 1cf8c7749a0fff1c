// Parts of a value that indices of a run name: copied out, and added back.

import GraftTensors

/// The parts of a row-major value that indices name, each of `size` elements in a row.
protocol IndexedPlaces {
    /// The elements of a part.
    var size: Int { get }
    /// Gives the first element of each part in the value, and in the list of parts.
    ///
    /// - Throws: ``ExecutionError/index(layer:index:count:)`` at an index that names none.
    func forEach(
        _ numbers: UnsafePointer<Float>, _ body: (_ element: Int, _ part: Int) -> Void
    ) throws(ExecutionError)
}

extension Compiler {
    /// The parts of `x` that `indices` name, one after another.
    func gathered(
        _ places: some IndexedPlaces, of x: Memory, at indices: Memory, into shape: Shape,
        as name: String
    ) throws -> Memory {
        let y = try memory(.plain(shape.dimensions))
        loop(name, uses: [x, indices, y]) {
            try places.forEach(indices.floats) { from, to in
                (y.floats + to).update(from: x.floats + from, count: places.size)
            }
        }
        return y
    }

    /// The gradient of ``gathered(_:of:at:into:as:)``: each part's is added to the elements that it is of.
    func spread(
        _ dy: Memory, of places: some IndexedPlaces, at indices: Memory, into shape: Shape,
        as name: String
    ) throws -> Memory {
        let dx = try memory(.plain(shape.dimensions))
        let count = shape.count
        loop(name, uses: [dy, indices, dx]) {
            dx.buffer.floats(count).update(repeating: 0)
            try places.forEach(indices.floats) { to, from in
                for element in 0..<places.size {
                    dx.floats[to + element] += dy.floats[from + element]
                }
            }
        }
        return dx
    }
}
