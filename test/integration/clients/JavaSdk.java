import java.io.PrintStream;
import java.net.URI;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.Files;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Scanner;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3Configuration;
import software.amazon.awssdk.services.s3.model.Delete;
import software.amazon.awssdk.services.s3.model.ObjectIdentifier;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

/** The other end of driver.ts: a line for each call, a line for each answer. */
class JavaSdk {
  static final String bucket = System.getenv("BUCKET");
  static final URI endpoint = URI.create(System.getenv("WEIR_ENDPOINT"));
  static final S3Client s3 = S3Client.builder().endpointOverride(endpoint).region(Region.US_EAST_1).forcePathStyle(true).build();
  static final S3AsyncClient parts = S3AsyncClient.builder().endpointOverride(endpoint).region(Region.US_EAST_1).forcePathStyle(true)
      .multipartEnabled(true).multipartConfiguration(c -> c.minimumPartSizeInBytes(8L << 20).thresholdInBytes(8L << 20)).build();
  static final S3Presigner presigner = S3Presigner.builder().endpointOverride(endpoint).region(Region.US_EAST_1)
      .serviceConfiguration(S3Configuration.builder().pathStyleAccessEnabled(true).build()).build();

  static List<String> call(String operation, List<String> a) throws Exception {
    switch (operation) {
      case "operations": return List.of("put", "get", "list", "put_large", "copy", "presign_get", "presign_put", "remove", "remove_many");
      case "put": s3.putObject(b -> b.bucket(bucket).key(a.get(0)), RequestBody.fromFile(Path.of(a.get(1)))); break;
      case "get": try (var in = s3.getObject(b -> b.bucket(a.get(0)).key(a.get(1)))) { Files.copy(in, Path.of(a.get(2)), StandardCopyOption.REPLACE_EXISTING); } break;
      case "list": return s3.listObjectsV2Paginator(b -> b.bucket(a.get(0)).maxKeys(7).encodingType("url")).contents().stream().map(o -> o.key()).toList();
      case "put_large": parts.putObject(b -> b.bucket(bucket).key(a.get(0)), AsyncRequestBody.fromFile(Path.of(a.get(1)))).get(); break;
      case "copy": s3.copyObject(b -> b.sourceBucket(bucket).sourceKey(a.get(0)).destinationBucket(bucket).destinationKey(a.get(1))); break;
      case "presign_get": return List.of(presigner.presignGetObject(p -> p.signatureDuration(Duration.ofMinutes(5)).getObjectRequest(b -> b.bucket(bucket).key(a.get(0)))).url().toString());
      case "presign_put": return List.of(presigner.presignPutObject(p -> p.signatureDuration(Duration.ofMinutes(5)).putObjectRequest(b -> b.bucket(bucket).key(a.get(0)))).url().toString());
      case "remove": s3.deleteObject(b -> b.bucket(bucket).key(a.get(0))); break;
      case "remove_many":
        var errors = s3.deleteObjects(b -> b.bucket(bucket).delete(Delete.builder().objects(a.stream().map(k -> ObjectIdentifier.builder().key(k).build()).toList()).build())).errors();
        if (!errors.isEmpty()) throw new Exception(errors.toString());
        break;
      default: throw new Exception("no such operation");
    }
    return List.of();
  }

  public static void main(String[] args) {
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    System.setOut(System.err);
    Scanner in = new Scanner(System.in, StandardCharsets.UTF_8).useDelimiter("\n");
    while (in.hasNext()) {
      List<String> words = Arrays.stream(in.next().split("\t")).map(w -> URLDecoder.decode(w, StandardCharsets.UTF_8)).toList();
      List<String> answer = new ArrayList<>();
      try {
        answer.add("ok");
        answer.addAll(call(words.get(0), words.subList(1, words.size())));
      } catch (Throwable e) {
        answer = List.of("error", String.valueOf(e));
      }
      out.println(String.join("\t", answer.stream().map(w -> URLEncoder.encode(w, StandardCharsets.UTF_8).replace("+", "%20")).toList()));
    }
    System.exit(0);
  }
}
