// From what a file says to annotated images: sizes are read, shares become pixels, turned boxes are turned.

import GraftImages
import GraftTensors

/// Images and annotations as a file has them, before the images were looked at.
struct AnnotationDraft {
    /// What the coordinates of an image's annotations count.
    enum Unit { case pixels, shares }

    /// An image as the file has it.
    struct Entry {
        var image: AnnotatedImage
        var annotations: [Annotation] = []
        var unit = Unit.pixels
        /// The size that the file records.
        var recorded: (width: Int, height: Int)?

        init(_ image: AnnotatedImage) { self.image = image }
    }

    var entries: [Entry] = []
    var set = AnnotatedImages()

    init(format: String) { set.format = format }

    /// The images with sizes, pixels and checked annotations.
    consuming func finished(_ reading: PhotoReading) -> AnnotatedImages {
        let files = entries.map { ($0.image.path, $0.image.isMissing) }
        let headers = Prefetch(count: files.count) { at -> Result<ImageHeader, any Error>? in
            files[at].1 ? nil : Result { try ImageHeader(path: files[at].0) }
        }
        var assumed = 0
        var turned = 0
        var otherSizes: [String] = []
        for entry in entries {
            var image = entry.image
            var annotations = entry.annotations
            switch headers.next() ?? nil {
            case .success(let header):
                (image.width, image.height) = (header.width, header.height)
                if !annotations.isEmpty {
                    let turn = Self.turn(header, entry, reading)
                    assumed += turn.isAssumed ? 1 : 0
                    if turn.isNeeded {
                        turned += 1
                        annotations = annotations.map {
                            $0.turned(header, shares: entry.unit == .shares)
                        }
                    } else if turn.isOtherSize, let recorded = entry.recorded {
                        otherSizes.append(
                            "`\(image.name)` (\(recorded.width) × \(recorded.height) recorded, "
                                + "\(header.width) × \(header.height) found)")
                    }
                    if entry.unit == .shares {
                        // Shares of stored pixels were turned as shares.
                        annotations = annotations.map {
                            $0.scaled(x: Double(header.width), y: Double(header.height))
                        }
                    }
                }
            case .failure(let error):
                if entry.unit == .shares, !annotations.isEmpty {
                    let reason = (error as? any Diagnostic)?.message ?? "\(error)"
                    let place = AnnotationPlace(file: image.path)
                    set.omissions.add(.unreadableImage, at: place, reason)
                    continue
                }
                (image.width, image.height) = (entry.recorded?.width, entry.recorded?.height)
            case nil:
                (image.width, image.height) = (entry.recorded?.width, entry.recorded?.height)
                if entry.unit == .shares, let width = image.width, let height = image.height {
                    annotations = annotations.map { $0.scaled(x: Double(width), y: Double(height)) }
                }
            }
            for annotation in annotations { set.add(annotation, to: &image) }
            set.images.append(image)
        }
        say(turned: turned, assumed: assumed, otherSizes: otherSizes)
        return set
    }

    private mutating func say(turned: Int, assumed: Int, otherSizes: [String]) {
        func images(_ count: Int) -> String { count == 1 ? "1 image" : "\(count) images" }
        if turned > 0 {
            set.notes.append(
                "the boxes of \(images(turned)) were drawn on stored pixels and are turned by the "
                    + "EXIF orientation")
        }
        if assumed > 0 {
            set.notes.append(
                "\(images(assumed)) with an EXIF orientation: boxes are taken as drawn on the image as "
                    + "shown; --boxes-on stored turns them")
        }
        if let first = otherSizes.first {
            let rest = otherSizes.count - 1
            set.notes.append(
                "the size of \(images(otherSizes.count)) is not the recorded one, so boxes may be "
                    + "misplaced: \(first)" + (rest > 0 ? " and \(rest) more" : ""))
        }
    }

    /// Whether the annotations of an image are of its stored pixels.
    private static func turn(_ header: ImageHeader, _ entry: Entry, _ reading: PhotoReading)
        -> (isNeeded: Bool, isAssumed: Bool, isOtherSize: Bool)
    {
        let isShown = entry.recorded.map { $0 == (header.width, header.height) }
        let isStored = entry.recorded.map { $0 == (header.storedWidth, header.storedHeight) }
        let isOther = isShown == false && isStored == false
        guard header.orientation != 1 else { return (false, false, isOther) }
        switch reading.boxesOn {
        case .stored: return (true, false, isOther)
        case .upright: return (false, false, isOther)
        case nil:
            if isStored == true, isShown == false { return (true, false, false) }
            return (false, isShown != true || isStored == true, isOther)
        }
    }
}

extension Annotation {
    /// The annotation with every position moved.
    private func moved(_ move: (Point) -> Point) -> Annotation {
        var result = self
        result.box = box.flatMap { Box(around: $0.corners.map(move)) }
        result.polygons = polygons.map { $0.map(move) }
        result.orientedBox = orientedBox.map(move)
        for index in keypoints.indices {
            result.keypoints[index].point = move(keypoints[index].point)
        }
        return result
    }

    /// Shares of the sides as pixels.
    func scaled(x: Double, y: Double) -> Annotation {
        moved { Point(x: $0.x * x, y: $0.y * y) }
    }

    /// Stored pixels, or shares of the stored sides, as those of the image as it is shown.
    func turned(_ header: ImageHeader, shares: Bool = false) -> Annotation {
        let width = shares ? 1 : Double(header.storedWidth)
        let height = shares ? 1 : Double(header.storedHeight)
        var result = moved { Self.turned($0, header.orientation, width, height) }
        result.mask = mask?.turned(header.orientation)
        return result
    }

    private static func turned(
        _ point: Point, _ orientation: Int, _ width: Double, _ height: Double
    )
        -> Point
    {
        let (x, y) = (point.x, point.y)
        return switch orientation {
        case 2: Point(x: width - x, y: y)
        case 3: Point(x: width - x, y: height - y)
        case 4: Point(x: x, y: height - y)
        case 5: Point(x: y, y: x)
        case 6: Point(x: height - y, y: x)
        case 7: Point(x: height - y, y: width - x)
        case 8: Point(x: y, y: width - x)
        default: point
        }
    }
}

extension AnnotationMask {
    /// Larger masks are no images.
    static let pixelLimit = 1 << 28

    /// The pixels in rows, true where the object is; nil of files and of runs that are none.
    func pixels() -> [Bool]? {
        guard case .runs(let runs, let width, let height) = self, width > 0, height > 0,
            width <= Self.pixelLimit / height
        else { return nil }
        var pixels = [Bool](repeating: false, count: width * height)
        var at = 0
        for (index, count) in runs.enumerated() {
            guard count >= 0, count <= width * height - at else { return nil }
            if index % 2 == 1 {
                for place in at..<(at + count) {
                    pixels[place % height * width + place / height] = true
                }
            }
            at += count
        }
        return pixels
    }

    /// Runs of pixels in rows.
    init(pixels: [Bool], width: Int, height: Int) {
        var runs: [Int] = []
        var (current, count) = (false, 0)
        for x in 0..<width {
            for y in 0..<height {
                if pixels[y * width + x] == current {
                    count += 1
                } else {
                    runs.append(count)
                    (current, count) = (!current, 1)
                }
            }
        }
        runs.append(count)
        self = .runs(runs, width: width, height: height)
    }

    /// The mask of the image as it is shown; a file's is turned when it is opened.
    fileprivate func turned(_ orientation: Int) -> AnnotationMask {
        guard case .runs(_, let width, let height) = self, let pixels = pixels() else {
            return self
        }
        let isLying = orientation > 4
        let (newWidth, newHeight) = isLying ? (height, width) : (width, height)
        var result = [Bool](repeating: false, count: pixels.count)
        for y in 0..<height {
            for x in 0..<width where pixels[y * width + x] {
                let (toX, toY) =
                    switch orientation {
                    case 2: (width - 1 - x, y)
                    case 3: (width - 1 - x, height - 1 - y)
                    case 4: (x, height - 1 - y)
                    case 5: (y, x)
                    case 6: (height - 1 - y, x)
                    case 7: (height - 1 - y, width - 1 - x)
                    case 8: (y, width - 1 - x)
                    default: (x, y)
                    }
                result[toY * newWidth + toX] = true
            }
        }
        return AnnotationMask(pixels: result, width: newWidth, height: newHeight)
    }
}
