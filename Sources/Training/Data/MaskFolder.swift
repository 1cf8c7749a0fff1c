// A folder of images and a folder of masks: `images/1.jpg`, `masks/1.png`, and the names of the values in
// `classes.txt`.

import GraftFormats
import GraftImages
import GraftTensors

/// Reads images whose masks have the same names.
enum MaskFolder {
    private static let names = (images: "images", masks: "masks", classes: "classes.txt")

    /// Whether a folder looks like one.
    static func matches(_ folders: [String], in path: String) -> Bool {
        guard folders.contains(names.images), folders.contains(names.masks) else { return false }
        return (try? FolderListing.names(in: path + "/" + names.masks))?
            .contains { fileExtension($0) == "png" } == true
    }

    /// The images with an annotation for each class that their mask shows.
    ///
    /// - Throws: ``MaskError`` for a mask of another size, of unknown colours or values.
    static func read(_ path: String) throws -> AnnotatedImages {
        var set = AnnotatedImages()
        set.format = "masks"
        let classes = try classes(path)
        let masks = Set(try FolderListing.names(in: path + "/" + names.masks))
        var pairs: [(image: String, mask: String)] = []
        for name in try FolderListing.names(in: path + "/" + names.images).sorted()
        where ContentKind.hasReadableExtension(name) {
            let stem = name.lastIndex(of: ".").map { String(name[..<$0]) } ?? name
            let image = path + "/" + names.images + "/" + name
            guard masks.contains(stem + ".png") else {
                set.omissions.add(.unannotated, at: AnnotationPlace(file: image), name)
                continue
            }
            pairs.append((image, path + "/" + names.masks + "/" + stem + ".png"))
        }
        let looks = Prefetch(count: pairs.count) { [pairs] at in
            Result { try values(of: pairs[at].mask, like: pairs[at].image) }
        }
        for (image, mask) in pairs {
            guard let look = try looks.next()?.get() else { break }
            var annotated = AnnotatedImage(path: image, name: names.images + "/" + fileName(image))
            (annotated.width, annotated.height) = (look.size.width, look.size.height)
            for value in look.values {
                guard let label = classes.map({ $0[value] }) ?? "\(value)" else {
                    throw MaskError.unknownValue(
                        mask, value: value, classes: (classes?.keys.max() ?? 0) + 1)
                }
                var annotation = Annotation(label: label, place: AnnotationPlace(file: mask))
                annotation.mask = .file(mask, value: value)
                annotated.annotations.append(annotation)
            }
            set.images.append(annotated)
        }
        set.classes =
            classes.map { found in found.keys.sorted().compactMap { found[$0] } }
            ?? Set(set.images.flatMap { $0.annotations.map(\.label) })
            .sorted { (Int($0) ?? 0) < (Int($1) ?? 0) }
        return set
    }

    /// The values in a mask but background and 255, and the size of both images.
    private static func values(of mask: String, like image: String) throws -> (
        values: [Int], size: PixelSize
    ) {
        let found = try MaskImage.read(mask)
        let bytes = try Storage(mapping: image)
        let size = try bytes.withBytes { try PixelSize(of: $0, name: image) }
        guard found.size == size else {
            throw MaskError.otherSize(mask, expected: size, found: found.size)
        }
        return (Set(found.values).subtracting([0, 255]).sorted().map { Int($0) }, size)
    }

    /// The names of the values: a line for each from 0 on, or from 1 on where the first is a class.
    private static func classes(_ path: String) throws -> [Int: String]? {
        let file = path + "/" + names.classes
        guard PhotoFolder.isFile(file) else { return nil }
        var lines = try TextBytes(path: file).lines.map { $0.1.trimmedText }.filter { !$0.isEmpty }
        if let first = lines.first, ["background", "_background_"].contains(first.lowercased()) {
            lines.removeFirst()
        }
        return Dictionary(uniqueKeysWithValues: lines.enumerated().map { ($0 + 1, $1) })
    }
}
