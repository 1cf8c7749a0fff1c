// Row-major values of any rank: repeated, summed back, and read by tables of places.

import CDNNL
import CKernels
import GraftNetworks
import GraftTensors

/// For each axis of a result, where its elements lie in a row-major source; see `graft_take`.
final class Places {
    /// The sizes of the result.
    let shape: Shape
    private let sizes: UnsafeMutablePointer<Int>
    private let tables: UnsafeMutablePointer<Int64>
    private let value: Float
    private let rank: Int

    /// The result of `shape`, whose axis `a` has at `i` the source's elements from
    /// `tables[a][i]` on; −1 is `value`. The places of all axes add up.
    init(_ shape: Shape, tables: [[Int]], value: Float = 0) {
        self.shape = shape
        self.value = value
        // A scalar is one element of one axis.
        let dims = shape.rank == 0 ? [1] : shape.dimensions
        let all = shape.rank == 0 ? [0] : tables.flatMap(\.self)
        rank = dims.count
        sizes = .allocate(capacity: dims.count)
        sizes.initialize(from: dims, count: dims.count)
        self.tables = .allocate(capacity: max(all.count, 1))
        self.tables.initialize(from: all.map(Int64.init), count: all.count)
    }

    deinit {
        sizes.deallocate()
        tables.deallocate()
    }

    /// Elements `indices[a]` of each axis of a row-major source; −1 is `value`.
    convenience init(of source: Shape, at indices: [[Int]], value: Float = 0) {
        let strides = source.rowMajorStrides
        self.init(
            Shape(indices.map(\.count)),
            tables: zip(indices, strides).map { axis, stride in
                axis.map { $0 < 0 ? -1 : $0 * stride }
            }, value: value)
    }

    /// A source of shape `source` repeated to `shape`, aligned at the last axis.
    convenience init(repeating source: Shape, to shape: Shape) {
        let strides = source.rowMajorStrides
        let lead = shape.rank - source.rank
        self.init(
            shape,
            tables: shape.dimensions.indices.map { axis in
                let own = axis - lead
                guard own >= 0, source[own] > 1 else {
                    return [Int](repeating: 0, count: shape[axis])
                }
                return (0..<shape[axis]).map { $0 * strides[own] }
            })
    }

    var table: graft_places {
        graft_places(
            rank: rank, size: UnsafeRawPointer(sizes).assumingMemoryBound(to: Int.self),
            places: tables, value: value)
    }
}

extension Shape {
    /// From one element of each axis to the next, row-major.
    var rowMajorStrides: [Int] {
        var strides = [Int](repeating: 1, count: rank)
        for axis in dimensions.indices.dropLast().reversed() {
            strides[axis] = strides[axis + 1] * self[axis + 1]
        }
        return strides
    }

    /// The sizes around an axis: what lies before it, it, and what lies after it.
    func split(at axis: Int) -> (outer: Int, count: Int, inner: Int) {
        (
            dimensions[..<axis].reduce(1, *), self[axis],
            dimensions[(axis + 1)...].reduce(1, *)
        )
    }
}

extension Compiler {
    /// The elements of a value that `places` names.
    func taken(_ x: Memory, of shape: Shape, by places: Places, as name: String) throws -> Memory {
        let threads = threads
        return try rowMajorLoop(name, reading: [(x, shape)], writing: places.shape) { x, y in
            var table = places.table
            graft_take(&table, x[0].baseAddress, y.baseAddress, threads)
        }
    }

    /// The gradient of ``taken(_:of:by:as:)``: what was taken several times is added up.
    func put(_ dy: Memory, by places: Places, into shape: Shape, as name: String) throws -> Memory {
        try rowMajorLoop(name, reading: [(dy, places.shape)], writing: shape) { dy, dx in
            var table = places.table
            graft_put(&table, dy[0].baseAddress, dx.baseAddress, dx.count)
        }
    }

    /// A value repeated to a larger shape, as NumPy broadcasts it; itself if it has it.
    func repeated(_ x: Memory, of shape: Shape, to target: Shape, as name: String) throws -> Memory
    {
        if shape == target { return try plain(x, of: shape) }
        if shape.count == target.count { return try plain(x, of: shape, as: target) }
        return try taken(x, of: shape, by: Places(repeating: shape, to: target), as: name)
    }

    /// An input of `site`, repeated to the shape of its value if it has another.
    func whole(_ value: Memory, at place: Int, of site: NodeSite) throws -> Memory {
        let shape = site.inputTypes[place].shape
        return shape == site.y
            ? value : try repeated(value, of: shape, to: site.y, as: site.name)
    }

    /// The gradient of ``repeated(_:of:to:as:)``: the sum over what was repeated.
    func summed(_ dy: Memory, of shape: Shape, to target: Shape, as name: String) throws -> Memory {
        if shape == target { return dy }
        if shape.count == target.count { return try plain(dy, of: shape, as: target) }
        if target.isGate(of: shape) { return try summedOverMap(dy, of: shape, to: target) }
        var (value, sizes) = (dy, shape)
        let lead = shape.rank - target.rank
        for axis in shape.dimensions.indices
        where sizes[axis] > 1 && (axis < lead || target[axis - lead] == 1) {
            var next = sizes
            next[axis] = 1
            value = try reduced(value, of: sizes, along: axis, by: GRAFT_SUM, as: name)
            sizes = next
        }
        return try plain(value, of: sizes, as: target)
    }

    /// One number for all that lie along an axis, which stays with one element.
    func reduced(
        _ x: Memory, of shape: Shape, along axis: Int, by function: Int, as name: String
    ) throws -> Memory {
        var target = shape
        target[axis] = 1
        let (outer, count, inner) = shape.split(at: axis)
        let threads = threads
        return try rowMajorLoop(name, reading: [(x, shape)], writing: target) { x, y in
            graft_reduce(
                Int32(function), outer, count, inner, x[0].baseAddress, y.baseAddress,
                threads)
        }
    }
}
