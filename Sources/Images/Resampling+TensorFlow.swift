// tf.image.resize, bilinear, half-pixel centres, no antialias, in 32-bit floats as TensorFlow's CPU kernel has it.

extension Image {
    /// Writes interleaved RGB, 0…255, of `region` to `target`.
    func tensorflowBilinear(
        _ newWidth: Int, _ newHeight: Int, _ region: Region,
        into target: UnsafeMutableBufferPointer<Float>
    ) {
        precondition(target.count >= region.width * region.height * 3)
        let columns = neighbours(
            along: columns(to: newWidth), at: region.x..<(region.x + region.width))
        let rows = neighbours(along: rows(to: newHeight), at: region.y..<(region.y + region.height))
        pixels.withUnsafeBufferPointer { source in
            var at = 0
            for row in rows {
                let top = row.lower * width * 3
                let bottom = row.upper * width * 3
                for column in columns {
                    let left = column.lower * 3
                    let right = column.upper * 3
                    for channel in 0..<3 {
                        let topLeft = Float(source[top + left + channel])
                        let topRight = Float(source[top + right + channel])
                        let bottomLeft = Float(source[bottom + left + channel])
                        let bottomRight = Float(source[bottom + right + channel])
                        let above = topLeft + (topRight - topLeft) * column.share
                        let below = bottomLeft + (bottomRight - bottomLeft) * column.share
                        target[at] = above + (below - above) * row.share
                        at += 1
                    }
                }
            }
        }
    }
}

/// The two source positions of each target position, and how far it lies towards the upper one.
private func neighbours(along axis: ResizedAxis, at positions: Range<Int>) -> [(
    lower: Int, upper: Int, share: Float
)] {
    let scale = Float(axis.high - axis.low) / Float(axis.target)
    return positions.map { position in
        let source = (Float(position) + 0.5) * scale - 0.5 + Float(axis.low)
        let floor = source.rounded(.down)
        return (
            max(Int(floor), 0), min(Int(source.rounded(.up)), axis.size - 1), source - floor
        )
    }
}
