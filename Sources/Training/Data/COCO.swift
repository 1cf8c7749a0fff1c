// COCO's annotations: one JSON file of images, categories and boxes.

import FoundationEssentials
import GraftImages
import GraftTensors

/// Reads `instances_*.json`; photos are looked for beside the file, and in folders beside it.
enum COCO {
    private struct File: Decodable {
        struct Image: Decodable {
            var id: Int
            var file_name: String
        }
        struct Category: Decodable {
            var id: Int
            var name: String
        }
        struct Annotation: Decodable {
            var image_id: Int
            var category_id: Int
            var bbox: [Double]?
            var iscrowd: Int?
            var area: Double?
        }
        var images: [Image]
        var categories: [Category]
        var annotations: [Annotation]
    }

    static func read(_ path: String) throws -> AnnotatedPhotos {
        func malformed(_ reason: String) -> AnnotationError {
            .malformed(path, format: "COCO", reason: reason)
        }
        let data = try Storage(mapping: path).withBytes { Data($0) }
        let file: File
        do {
            file = try JSONDecoder().decode(File.self, from: data)
        } catch {
            throw malformed("expected `images`, `categories` and `annotations` (\(error))")
        }
        var names: [Int: String] = [:]
        for category in file.categories {
            guard names.updateValue(category.name, forKey: category.id) == nil else {
                throw malformed("category \(category.id) is there twice")
            }
        }
        var result = AnnotatedPhotos()
        result.classes = sortedNames(names.values)
        result.categories = names
        let place = folder(of: path)
        var order: [Int: Int] = [:]
        for image in file.images {
            guard order.updateValue(result.photos.count, forKey: image.id) == nil else {
                throw malformed("image \(image.id) is there twice")
            }
            result.photos.append(
                AnnotatedPhotos.Photo(
                    path: PhotoFolder.find(image.file_name, near: place), name: image.file_name,
                    id: image.id))
        }
        for (index, annotation) in file.annotations.enumerated() {
            guard let photo = order[annotation.image_id] else {
                throw malformed(
                    "annotation \(index) is of image \(annotation.image_id), which is not there")
            }
            guard let name = names[annotation.category_id] else {
                throw malformed(
                    "annotation \(index) is of category \(annotation.category_id), which is not there"
                )
            }
            guard let sides = annotation.bbox, sides.count == 4 else {
                throw malformed("annotation \(index) has no box of 4 numbers")
            }
            // Taken out and put back, so that what it has is not copied for each box.
            var annotated = AnnotatedPhotos.Photo(path: "", name: "")
            swap(&annotated, &result.photos[photo])
            let box = Box(
                left: sides[0], top: sides[1], right: sides[0] + sides[2],
                bottom: sides[1] + sides[3])
            result.add(
                AnnotatedPhotos.Thing(
                    label: name, box: box, isCrowd: annotation.iscrowd == 1, area: annotation.area),
                to: &annotated, place: "annotation \(index) of `\(path)`")
            result.photos[photo] = annotated
        }
        return result
    }
}
