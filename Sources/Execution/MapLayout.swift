// How a map lies in memory, for graft's own loops: row-major, channels-last or in blocks of channels,
// alone or as some channels of a wider map.

import CDNNL
import CKernels
import GraftTensors

/// The place of each number of a map (N, C, H, W), or of (N, C) as a map of one place.
struct MapLayout: Equatable {
    enum Order: Equatable {
        /// Row-major: each channel a plane.
        case planes
        case channelsLast
        /// Blocks of 8 or 16 channels, the channels of a block innermost.
        case blocks(Int)
    }

    let shape: Shape
    let order: Order
    /// The channels of the map that this one is a part of, and the first that it has of them.
    let width: Int
    let start: Int

    init(_ shape: Shape, _ order: Order) {
        self.init(shape, order, within: shape[1], from: 0)
    }

    /// `shape[1]` channels from `start` on of a map of `width` channels. In blocks all three must be
    /// multiples of the block where they are not the whole.
    init(_ shape: Shape, _ order: Order, within width: Int, from start: Int) {
        self.shape = shape
        self.order = order
        self.width = width
        self.start = start
    }

    var area: Int { shape.dimensions.dropFirst(2).reduce(1, *) }

    /// The channels that lie together.
    var block: Int {
        switch order {
        case .planes: 1
        case .channelsLast: shape[1]
        case .blocks(let block): block
        }
    }
    /// The channels with what fills up the last block.
    var filled: Int { (shape[1] + block - 1) / block * block }
    private var pixel: Int { order == .channelsLast ? width : block }
    private var batchStride: Int {
        guard case .blocks(let block) = order else { return width * area }
        return (width + block - 1) / block * block * area
    }
    /// The floats before the first number.
    var offset: Int { order == .channelsLast ? start : start * area }

    /// As the loops over channels take it.
    var loop: graft_layout {
        graft_layout(
            n: shape[0], channels: shape[1], area: area, block: block, pixel: pixel,
            batch_stride: batchStride)
    }

    /// As a kernel takes it that has `count` channels at a time.
    func strides(_ count: Int) -> graft_strides {
        graft_strides(
            pixel: pixel, block: order == .channelsLast ? count : area * block,
            batch: batchStride)
    }

    /// As oneDNN has it.
    func descriptor() throws(ExecutionError) -> Descriptor {
        var dims = shape.dimensions
        dims[1] = width
        let whole: Descriptor
        switch order {
        case .planes: whole = try .plain(dims)
        case .channelsLast: whole = try .channelsLast(dims)
        case .blocks(let block): whole = try .blocked(dims, by: block)
        }
        guard width != shape[1] else { return whole }
        var offsets = [Int](repeating: 0, count: dims.count)
        offsets[1] = start
        return try whole.part(shape.dimensions, offsets: offsets)
    }
}

extension Memory {
    /// A map that lies like this.
    convenience init(
        _ layout: MapLayout, in buffer: Buffer, of engine: Engine
    ) throws(ExecutionError) {
        try self.init(try layout.descriptor(), in: buffer, of: engine)
        self.layout = layout
    }

    /// The first number of a map for graft's loops, which know its layout.
    var floats: UnsafeMutablePointer<Float> {
        buffer.pointer.assumingMemoryBound(to: Float.self) + (layout?.offset ?? 0)
    }
}

extension Compiler {
    /// The layout of a value of this shape; nil if it is one that graft's loops do not know.
    func mapLayout(_ value: Memory, of shape: Shape) throws -> MapLayout? {
        if let layout = value.layout { return layout.shape == shape ? layout : nil }
        let orders: [MapLayout.Order] =
            shape.rank == 4 ? [.channelsLast, .blocks(8), .blocks(16), .planes] : [.planes]
        for order in orders {
            let layout = MapLayout(shape, order)
            if value.descriptor == (try layout.descriptor()) { return layout }
        }
        return nil
    }

    /// The value of this shape as graft's loops take it; reordered if it lies otherwise.
    func regular(_ value: Memory, of shape: Shape) throws -> (value: Memory, layout: MapLayout) {
        if let layout = try mapLayout(value, of: shape) { return (value, layout) }
        return (try reordered(value, to: .plain(shape.dimensions)), MapLayout(shape, .planes))
    }

    /// Room for a map that lies like this.
    func memory(_ layout: MapLayout) throws -> Memory {
        try Memory(layout, in: arena.take(try layout.descriptor().byteCount), of: engine)
    }
}
