// Elements and slices at indices that another value has in this run.

import GraftNetworks
import GraftTensors

extension Op.GatherElements: ExecutableOp {
    /// The indices.
    typealias Saved = Memory

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Memory> {
        let compiler = pass.compiler
        let x = try compiler.plain(try pass.value(of: site.inputs[0]), of: site.x)
        let indices = try compiler.plain(try pass.value(of: site.inputs[1]), of: site.y)
        let places = ElementPlaces(of: site.y, in: site.x, axis: axis, layer: site.name)
        let y = try compiler.gathered(places, of: x, at: indices, into: site.y, as: site.name)
        return Outcome(y, saved: indices)
    }

    /// Adds each element's gradient to the one that it is; indices have none.
    func backward(
        from gradients: OutputGradients, saved indices: Memory, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil, nil] }
        let dy = try pass.compiler.plain(try gradients.sum(), of: site.y)
        let places = ElementPlaces(of: site.y, in: site.x, axis: axis, layer: site.name)
        let dx = try pass.compiler.spread(
            dy, of: places, at: indices, into: site.x, as: site.name)
        return [dx, nil]
    }
}

extension Op.GatherND: ExecutableOp {
    /// The indices.
    typealias Saved = Memory

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Memory> {
        let compiler = pass.compiler
        let x = try compiler.plain(try pass.value(of: site.inputs[0]), of: site.x)
        let shape = site.inputTypes[1].shape
        let indices = try compiler.plain(try pass.value(of: site.inputs[1]), of: shape)
        let slices = IndexedSlices(shape, in: site.x, batch: batch, layer: site.name)
        let y = try compiler.gathered(slices, of: x, at: indices, into: site.y, as: site.name)
        return Outcome(y, saved: indices)
    }

    /// Adds each slice's gradient to the one that it is; indices have none.
    func backward(
        from gradients: OutputGradients, saved indices: Memory, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil, nil] }
        let dy = try pass.compiler.plain(try gradients.sum(), of: site.y)
        let slices = IndexedSlices(
            site.inputTypes[1].shape, in: site.x, batch: batch, layer: site.name)
        let dx = try pass.compiler.spread(
            dy, of: slices, at: indices, into: site.x, as: site.name)
        return [dx, nil]
    }
}

/// The place in a value of each of its elements that indices along one axis name.
struct ElementPlaces: IndexedPlaces {
    let size = 1
    private let layer: String
    private let axis: Int
    private let sizes: [Int]
    private let strides: [Int]
    private let count: Int
    private let extent: Int

    /// Indices of shape `indices` in a row-major value of shape `x`.
    init(of indices: Shape, in x: Shape, axis: Int, layer: String) {
        self.layer = layer
        self.axis = axis
        sizes = indices.dimensions
        strides = x.rowMajorStrides
        count = indices.count
        extent = x[axis]
    }

    /// The place of each element in the value, and that of its index.
    func forEach(
        _ numbers: UnsafePointer<Float>, _ body: (_ element: Int, _ part: Int) -> Void
    ) throws(ExecutionError) {
        var position = [Int](repeating: 0, count: sizes.count)
        for place in 0..<count {
            let number = numbers[place]
            guard let index = Int(exactly: number), -extent..<extent ~= index else {
                throw .index(layer: layer, index: number, count: extent)
            }
            var element = 0
            for other in position.indices where other != axis {
                element += position[other] * strides[other]
            }
            body(element + (index < 0 ? index + extent : index) * strides[axis], place)
            var last = sizes.count - 1
            while last >= 0 {
                position[last] += 1
                if position[last] < sizes[last] { break }
                position[last] = 0
                last -= 1
            }
        }
    }
}

/// The place in a value of each slice that a vector of indices names.
struct IndexedSlices: IndexedPlaces {
    private let layer: String
    private let vectors: Int
    private let depth: Int
    private let extents: [Int]
    private let strides: [Int]
    /// The vectors of each of the common axes' elements, and the elements of the value there.
    private let vectorsPerBatch: Int
    private let elementsPerBatch: Int
    /// The elements of a slice.
    let size: Int

    /// Vectors along the last axis of `indices`, in a row-major value of shape `x`.
    init(_ indices: Shape, in x: Shape, batch: Int = 0, layer: String) {
        self.layer = layer
        depth = indices[indices.rank - 1]
        vectors = indices.dimensions.dropLast().reduce(1, *)
        let outer = x.dimensions[..<batch].reduce(1, *)
        vectorsPerBatch = max(vectors / max(outer, 1), 1)
        elementsPerBatch = x.count / max(outer, 1)
        extents = Array(x.dimensions[batch..<(batch + depth)])
        strides = Array(x.rowMajorStrides[batch..<(batch + depth)])
        size = x.dimensions[(batch + depth)...].reduce(1, *)
    }

    /// The first element of each slice in the value, and in the list of slices.
    func forEach(
        _ numbers: UnsafePointer<Float>, _ body: (_ element: Int, _ part: Int) -> Void
    ) throws(ExecutionError) {
        for vector in 0..<vectors {
            var element = vector / vectorsPerBatch * elementsPerBatch
            for axis in 0..<depth {
                let (number, extent) = (numbers[vector * depth + axis], extents[axis])
                guard let index = Int(exactly: number), -extent..<extent ~= index else {
                    throw .index(layer: layer, index: number, count: extent)
                }
                element += (index < 0 ? index + extent : index) * strides[axis]
            }
            body(element, vector * size)
        }
    }
}
