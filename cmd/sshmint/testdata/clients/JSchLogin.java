import com.jcraft.jsch.ChannelExec;
import com.jcraft.jsch.JSch;
import com.jcraft.jsch.Session;
import com.jcraft.jsch.agentproxy.RemoteIdentityRepository;
import com.jcraft.jsch.agentproxy.connector.SSHAgentConnector;
import com.jcraft.jsch.agentproxy.usocket.JNAUSocketFactory;

/** Logs in with what the agent has, and with nothing else. */
public class JSchLogin {
	public static void main(String[] args) throws Exception {
		JSch jsch = new JSch();
		jsch.setIdentityRepository(new RemoteIdentityRepository(new SSHAgentConnector(new JNAUSocketFactory())));
		Session session = jsch.getSession(System.getenv("USER"), "127.0.0.1", Integer.parseInt(System.getenv("SSHPORT")));
		session.setConfig("StrictHostKeyChecking", "no");
		session.setConfig("PreferredAuthentications", "publickey");
		session.connect(20000);
		ChannelExec channel = (ChannelExec) session.openChannel("exec");
		channel.setCommand("echo LOGIN_OK");
		channel.setInputStream(null);
		channel.setOutputStream(System.out, true);
		channel.connect();
		while (!channel.isClosed()) Thread.sleep(20);
		session.disconnect();
	}
}
