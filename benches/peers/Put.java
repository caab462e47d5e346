import java.io.File;
import java.io.FileInputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URI;

/** `java Put.java FILE URL`: the upload loop of CleverTap's Java sample, the same calls and buffer, without its prints. */
public class Put {
    public static void main(String[] args) throws Exception {
        File file = new File(args[0]);
        HttpURLConnection connection = (HttpURLConnection) URI.create(args[1]).toURL().openConnection();
        long length = file.length();
        connection.setFixedLengthStreamingMode(length);
        connection.setConnectTimeout(10000);
        connection.setReadTimeout(90000000);
        connection.setDoOutput(true);
        connection.setRequestMethod("PUT");
        OutputStream out = connection.getOutputStream();
        FileInputStream in = new FileInputStream(file);
        byte[] buffer = new byte[10240];
        long sent = 0;
        while (sent + buffer.length <= length) {
            in.read(buffer);
            out.write(buffer);
            sent += buffer.length;
        }
        buffer = new byte[(int) (length - sent)];
        in.read(buffer);
        out.write(buffer);
        out.flush();
        in.close();
        System.exit(connection.getResponseCode() == 200 ? 0 : 1);
    }
}
