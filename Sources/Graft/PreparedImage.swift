// An image made ready for a network on any thread, so that decoding overlaps inference.

package import GraftImages
internal import GraftTensors

/// The numbers that a network reads of an image, and the size of the image itself. What was decoded is
/// gone: many of them take the memory of the network's inputs, whatever the size of the images.
package struct PreparedImage: Sendable {
    /// The input, channel by channel.
    package let values: [Float]
    /// The width of the image in pixels, as it was decoded.
    package let width: Int
    /// The height of the image in pixels, as it was decoded.
    package let height: Int

    /// Prepares an image as a model expects it.
    package init(_ image: Image, _ preprocessing: Preprocessing) {
        let size = preprocessing.shape.count
        values = [Float](unsafeUninitializedCapacity: size) { target, initialized in
            target.initialize(repeating: 0)
            preprocessing.write(image, into: target)
            initialized = size
        }
        (width, height) = (image.width, image.height)
    }
}
