// The size of the map that a window makes of another, with every amount in range.

import GraftTensors

extension Window {
    /// The largest kernel, stride, dilation and padding.
    package static let maximumExtent = 1 << 20
    /// The same for transposed convolutions, whose maps grow by them.
    private static let maximumTransposedExtent = 1 << 16

    /// The number of places of this window on the map `x` (N, C, H, W).
    func outputExtent(of x: Shape) throws(OpFlaw) -> Extent {
        let padding = resolvedPaddingIfInRange(height: x[2], width: x[3])
        guard let padding else {
            throw .unfitWindow(kernel: kernel, stride: stride, dilation: dilation)
        }
        for amount in [padding.top, padding.left, padding.bottom, padding.right]
        where !(0...Self.maximumExtent).contains(amount) {
            throw .unfitPadding(amount)
        }
        func places(_ size: Int, before: Int, after: Int, along axis: KeyPath<Extent, Int>) -> Int {
            let span = dilation[keyPath: axis] * (kernel[keyPath: axis] - 1) + 1
            let room = size + before + after - span
            guard room >= 0 else { return 0 }
            let step = stride[keyPath: axis]
            guard roundsUp else { return room / step + 1 }
            let count = (room + step - 1) / step + 1
            // The last window must start inside the map or the padding before it (PyTorch).
            return (count - 1) * step >= size + before ? count - 1 : count
        }
        let height = places(x[2], before: padding.top, after: padding.bottom, along: \.height)
        let width = places(x[3], before: padding.left, after: padding.right, along: \.width)
        guard height > 0, width > 0 else {
            throw .windowTooLarge(kernel: kernel, map: Extent(x[2], x[3]))
        }
        return Extent(height, width)
    }

    /// The size of the map of which a convolution by this window makes `x` (N, C, H, W).
    func transposedExtent(of x: Shape, outputPadding: Extent) throws(OpFlaw) -> Extent {
        guard case .explicit(let padding) = padding else { throw .implicitPadding }
        guard isInRange(1...Self.maximumTransposedExtent) else {
            throw .unfitWindow(kernel: kernel, stride: stride, dilation: dilation)
        }
        for amount in [padding.top, padding.left, padding.bottom, padding.right]
        where !(0...Self.maximumTransposedExtent).contains(amount) {
            throw .unfitPadding(amount)
        }
        // What no window reaches cannot be as wide as a step.
        guard (0..<max(stride.height, dilation.height)).contains(outputPadding.height),
            (0..<max(stride.width, dilation.width)).contains(outputPadding.width)
        else { throw .unfitOutputPadding(outputPadding) }
        func extent(_ size: Int, cut: Int, along axis: KeyPath<Extent, Int>) -> Int {
            (size - 1) * stride[keyPath: axis]
                + dilation[keyPath: axis] * (kernel[keyPath: axis] - 1) + 1 - cut
                + outputPadding[keyPath: axis]
        }
        let height = extent(x[2], cut: padding.top + padding.bottom, along: \.height)
        let width = extent(x[3], cut: padding.left + padding.right, along: \.width)
        guard height > 0, width > 0 else { throw .nothingLeft(x) }
        return Extent(height, width)
    }

    private func isInRange(_ range: ClosedRange<Int>) -> Bool {
        [kernel, stride, dilation].allSatisfy {
            range.contains($0.height) && range.contains($0.width)
        }
    }

    /// The padding for a map of this size, or nil if the window is so large that it cannot be computed.
    private func resolvedPaddingIfInRange(height: Int, width: Int) -> Padding? {
        isInRange(1...Self.maximumExtent) ? resolvedPadding(height: height, width: width) : nil
    }
}
