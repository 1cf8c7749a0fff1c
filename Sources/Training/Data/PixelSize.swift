// The size of an image in pixels, as it is shown.

import GraftImages
import GraftTensors

/// The width and the height of an image in pixels, after its EXIF orientation.
public struct PixelSize: Sendable, Hashable {
    /// The width.
    public var width: Int
    /// The height.
    public var height: Int

    /// A size.
    public init(width: Int, height: Int) { (self.width, self.height) = (width, height) }

    /// The size in the header of an image's bytes.
    package init(of bytes: UnsafeRawBufferPointer, name: String) throws {
        let header = try ImageHeader(bytes, name: name)
        self.init(width: header.width, height: header.height)
    }
}

extension PhotoFolder.Item {
    /// The item with its size, where one is known.
    package func sized(_ size: PixelSize?) -> PhotoFolder.Item {
        var item = self
        if let size { item.size = size }
        return item
    }
}
