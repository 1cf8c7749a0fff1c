// Sparse weights of TensorFlow Lite models, made dense.

import GraftTensors

/// How the numbers of a sparse tensor lie: what TensorFlow Lite's DENSIFY reads.
///
/// A tree of levels, one for each axis in some order and then one for each axis of the blocks into
/// which axes are cut. A dense level has all its children, a sparse one those that its indices name
/// (`SparsityParameters` of TensorFlow Lite's schema).
struct TFLiteSparsity: Sendable {
    /// Numbers of fields in schema.fbs.
    private enum Field {
        static let (order, blocks, levels) = (0, 1, 2)
        static let (format, size, segmentsType, segments, indicesType, indices) = (0, 1, 2, 3, 4, 5)
        static let values = 0
    }

    private enum Level: Sendable {
        case dense(Int)
        case sparse(segments: [Int], indices: [Int])
    }

    private let name: String
    private let dtype: DType
    private let shape: Shape
    private let source: Source
    private let levels: [Level]
    /// The axis that each level walks, and how far a step of the level goes along it.
    private let axes: [(axis: Int, step: Int)]

    init(_ table: FlatTable, _ name: String, _ dtype: DType, _ shape: Shape, _ source: Source)
        throws
    {
        (self.name, self.dtype, self.shape, self.source) = (name, dtype, shape, source)
        let order = try table.integers(Field.order, Int32.self).map { Int($0) }
        let blocks = try table.integers(Field.blocks, Int32.self).map { Int($0) }
        let described = try table.tables(Field.levels)
        guard order.count == described.count, order.count == shape.rank + blocks.count,
            order.sorted() == Array(0..<order.count), order.count <= 16,
            blocks.allSatisfy(shape.dimensions.indices.contains)
        else { throw source.malformed(.tflite(.sparsity(tensor: name, .shape))) }
        let extents = try described.map { Int(try $0.integer(Field.size, Int32(0))) }
        levels = try described.enumerated().map { index, level in
            guard try level.integer(Field.format, Int8(0)) != 0 else {
                guard extents[index] >= 0 else {
                    throw source.malformed(
                        .tflite(.sparsity(tensor: name, .extent(extents[index]))))
                }
                return .dense(extents[index])
            }
            return .sparse(
                segments: try Self.numbers(level, Field.segmentsType, Field.segments),
                indices: try Self.numbers(level, Field.indicesType, Field.indices))
        }
        // A block's axis goes on where its tensor's axis stands: one place there is a block here.
        var steps = [Int](repeating: 1, count: shape.rank)
        var axes = [(axis: Int, step: Int)](repeating: (0, 1), count: order.count)
        for (level, dimension) in order.enumerated().reversed() {
            let axis = dimension < shape.rank ? dimension : blocks[dimension - shape.rank]
            axes[level] = (axis, steps[axis])
            guard dimension >= shape.rank else { continue }
            guard case .dense(let size) = levels[level], size > 0, size <= max(shape[axis], 1)
            else {
                throw source.malformed(.tflite(.sparsity(tensor: name, .sparseBlock)))
            }
            let (step, overflow) = steps[axis].multipliedReportingOverflow(by: size)
            guard !overflow else {
                throw source.malformed(.tflite(.sparsity(tensor: name, .largeBlock)))
            }
            steps[axis] = step
        }
        self.axes = axes
    }

    /// A vector of 32, 16 or 8 bits, as a union says.
    private static func numbers(_ table: FlatTable, _ type: Int, _ field: Int) throws -> [Int] {
        guard let vector = try table.table(field) else { return [] }
        return switch try table.integer(type, UInt8(0)) {
        case 1: try vector.integers(Field.values, Int32.self).map { Int($0) }
        case 2: try vector.integers(Field.values, UInt16.self).map { Int($0) }
        default: try vector.integers(Field.values, UInt8.self).map { Int($0) }
        }
    }

    /// All numbers of the tensor; those at `range` of `storage` in their places, the others zero.
    func dense(_ storage: Storage, _ range: Range<Int>) throws -> Tensor {
        let width = dtype.byteCount
        var walk = Walk(
            left: range.count / width, budget: 4 * (shape.count + range.count) + 1 << 16)
        let result = try Storage(byteCount: shape.count * width) { target in
            try storage.withBytes { bytes in
                let source = UnsafeRawBufferPointer(rebasing: bytes[range])
                try fill(target, source, 0, 0, &walk)
            }
        }
        guard walk.left == 0 else {
            throw source.malformed(.tflite(.sparsity(tensor: name, .leftOver(walk.left))))
        }
        return Tensor(dtype, shape, storage: result)
    }

    private struct Walk {
        var place = [Int](repeating: 0, count: 16)
        var next = 0
        /// Numbers that have not found their place.
        var left: Int
        /// How many more steps a file of this size may take.
        var budget: Int
    }

    private func fill(
        _ target: UnsafeMutableRawBufferPointer, _ source: UnsafeRawBufferPointer, _ level: Int,
        _ parent: Int, _ walk: inout Walk
    ) throws {
        guard level < levels.count else { return try put(target, source, &walk) }
        let (axis, step) = axes[level]
        func enter(_ index: Int, _ child: Int) throws {
            walk.budget -= 1
            let (place, overflow) = index.multipliedReportingOverflow(by: step)
            guard walk.budget > 0, index >= 0, !overflow, place < max(shape[axis], 1) else {
                throw self.source.malformed(.tflite(.sparsity(tensor: name, .index)))
            }
            walk.place[axis] += place
            try fill(target, source, level + 1, child, &walk)
            walk.place[axis] -= place
        }
        switch levels[level] {
        case .dense(let size):
            let (first, overflow) = parent.multipliedReportingOverflow(by: size)
            guard !overflow, first <= Int.max - size else {
                throw self.source.malformed(.tflite(.sparsity(tensor: name, .longAxis)))
            }
            for index in 0..<size { try enter(index, first + index) }
        case .sparse(let segments, let indices):
            guard parent >= 0, parent + 1 < segments.count, segments[parent] >= 0,
                segments[parent] <= segments[parent + 1], segments[parent + 1] <= indices.count
            else { throw self.source.malformed(.tflite(.sparsity(tensor: name, .segments))) }
            for child in segments[parent]..<segments[parent + 1] {
                try enter(indices[child], child)
            }
        }
    }

    private func put(
        _ target: UnsafeMutableRawBufferPointer, _ source: UnsafeRawBufferPointer,
        _ walk: inout Walk
    ) throws {
        guard walk.left > 0 else {
            throw self.source.malformed(.tflite(.sparsity(tensor: name, .fewNumbers)))
        }
        var index = 0
        for axis in 0..<shape.rank {
            // Blocks may reach over the edge of a shape that they do not divide.
            guard walk.place[axis] < shape[axis] else {
                throw self.source.malformed(.tflite(.sparsity(tensor: name, .outside)))
            }
            index = index * shape[axis] + walk.place[axis]
        }
        let width = dtype.byteCount
        for byte in 0..<width { target[index * width + byte] = source[walk.next * width + byte] }
        walk.next += 1
        walk.left -= 1
    }
}
